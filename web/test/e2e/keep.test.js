// What the tab keeps, and what it tells whoever looks away: the seat, the conversation, the draft, the title, what may not have arrived.

import assert from "node:assert/strict";

import { KINDS, scenario } from "./harness.js";
import { Person, byId, halfway, pair } from "./person.js";
import { spy } from "./spy.js";

/** @typedef {import("./browsers.js").Kind} Kind */

/** What stands in the input. */
function draft(/** @type {Person} */ person) {
  return person.page.$eval(byId("chat-input"), (input) => /** @type {HTMLTextAreaElement} */ (input).value);
}

/** Until the tab is called so. */
async function titled(/** @type {Person} */ person, /** @type {string} */ title) {
  await person.visitor.until((/** @type {string} */ wanted) => document.title === wanted, title);
}

for (const kind of KINDS) {
  scenario(`${kind}: reloaded while it joins, before the room is drawn, the page finds its seat again`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, "chromium", server.url);
    const link = await ann.create();
    const ben = await Person.at(stage, kind, server.url, { spy });
    // The board of step mode never comes: joined, but nothing to see.
    let held = true;
    await ben.page.setRequestInterception(true);
    ben.page.on("request", (request) => {
      if (!held || !request.url().endsWith("/board.js")) void request.continue();
    });
    ben.visitor.expect(/request failed: .*\/board\.js/);
    await ben.page.goto(link.replace("/#", "/?steps#"), { waitUntil: "domcontentloaded" });
    await ben.visitor.until(() => /** @type {any} */ (globalThis).seen.received.some((/** @type {string} */ text) => JSON.parse(text).type === "joined"));
    assert.equal(await ben.isShown("joining"), true);
    held = false;
    await ben.page.reload();
    await ben.sees("steps");
    await ben.click("automatic");
    await Promise.all([ann.connected(), ben.connected()]);
  });

  scenario(`${kind}: into the same room again, the conversation goes on below a line; the draft goes with the tab`, async (stage) => {
    const { server, ann, ben, link } = await pair(stage, kind, "chromium");
    await ann.say("from ann");
    await ben.say("from ben");
    await Promise.all([ann.hears(1), ben.hears(1)]);
    await ann.page.keyboard.type("half a thought");
    await ann.visitor.run(() => history.back());
    await ann.sees("start-create");
    await ben.isTold(/other person has left/);
    await ann.visitor.run(() => history.forward());
    await Promise.all([ann.connected(), ben.connected()]);
    assert.deepEqual([await ann.said(), await ann.heard(), await draft(ann)], [["from ann"], ["from ben"], "half a thought"]);
    assert.match((await ann.texts("section")).join("\n"), /^Somebody is here.*\nEarlier conversation above.*\nSomebody is here/);
    await ben.say("again");
    await ann.hears(2);

    await ben.leave();
    await ann.isTold(/other person has left/);
    const cay = await Person.at(stage, "chromium", link);
    await Promise.all([ann.connected(), cay.connected()]);
    assert.equal(await draft(ann), "half a thought", "somebody else came");
    await ann.page.reload();
    await Promise.all([ann.connected(), cay.connected()]);
    assert.deepEqual([await ann.heard(), await draft(ann)], [[], "half a thought"], "a reload keeps the draft alone");
    await cay.say("from cay");
    await ann.hears(1);
    await ann.leave();
    // The key went with the room: the address alone leads in no more, the link does.
    await ann.page.evaluate((link) => { location.href = link; }, link);
    await Promise.all([ann.connected(), cay.connected()]);
    assert.deepEqual([await ann.heard(), await draft(ann)], [[], "half a thought"], "who leaves lets go of what was said");
    await cay.say("from cay");
    await ann.hears(1);
    await ann.visitor.run(() => history.back());
    await ann.sees("start-create");
    const dan = await Person.at(stage, "chromium", server.url);
    await ann.join(await dan.create());
    await Promise.all([ann.connected(), dan.connected()]);
    assert.deepEqual([await ann.heard(), await draft(ann)], [[], "half a thought"], "another room is another conversation");
    await ann.page.focus(byId("chat-input"));
    await ann.page.keyboard.press("Enter");
    await dan.hears(1);
    await ann.page.reload();
    await Promise.all([ann.connected(), dan.connected()]);
    assert.equal(await draft(ann), "", "sent is no draft");
  });

  scenario(`${kind}: who looks away reads in the title that somebody came, wrote, or went`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url);
    const link = await ann.create();
    const title = `${(await ann.text("room-name")).slice(0, 14)} · Crowfly`;
    await titled(ann, title);
    await ann.hide(true);
    const ben = await Person.at(stage, "chromium", link);
    await titled(ann, `● ${title}`);
    await Promise.all([ann.connected(), ben.connected()]);
    await ben.sayAll(["one", "two"]);
    await titled(ann, `(2) ${title}`);
    await ann.hide(false);
    await titled(ann, title);
    await ben.say("three");
    await ann.hears(3);
    assert.equal(await ann.page.title(), title, "nothing is told to who looks on");
    await ann.hide(true);
    await ben.leave();
    await titled(ann, `● ${title}`);
    await ann.hide(false);
    await titled(ann, title);
  });

  scenario(`${kind}: a file shows while it comes in, and goes when it is there or given up`, async (stage) => {
    const { ann, ben } = await pair(stage, kind, "chromium", { spy: halfway });
    await ben.hand("<b>film</b>.mp4", 3_000_000);
    await ann.sees("incoming");
    assert.equal(await ann.text("incoming-name"), "_b_film__b_.mp4");
    await ann.visitor.until((/** @type {string} */ selector) => /Receiving 1\.05 MB of 3\.00 MB/.test(document.querySelector(selector)?.textContent ?? ""), byId("incoming"));
    assert.equal(await ann.page.$eval(`${byId("incoming")} progress`, (bar) => Math.round(/** @type {HTMLProgressElement} */ (bar).value * 100)), 35);
    await ben.click("cancel-send");
    await ann.seesNo("incoming");
    await ben.hand("another.mp4", 3_000_000);
    await ann.visitor.until((/** @type {string} */ selector) => document.querySelector(selector)?.checkVisibility(), byId("incoming"));
    await ben.visitor.run(() => /** @type {any} */ (globalThis).goOn());
    await ann.sees("file-peer");
    await ann.seesNo("incoming");
    assert.deepEqual(await ann.texts("file-name"), ["another.mp4"]);
  });
}

scenario("chromium: what was sent into silence is marked, until the other side answers; if it never does, for good", async (stage) => {
  const server = await stage.serve();
  const ann = await Person.at(stage, "chromium", server.url);
  const ben = await Person.at(stage, "chromium", await ann.create(), { own: true });
  await Promise.all([ann.connected(), ben.connected()]);
  const marked = () => ann.page.$$eval(byId("not-confirmed"), (marks) => marks.map((mark) => mark.parentElement?.firstElementChild?.textContent));
  ben.visitor.freeze(true);
  await ann.say("Are you there?");
  await ann.phase("silent");
  await ann.sees("not-confirmed");
  await ann.say("Hello?");
  await ann.visitor.until((/** @type {string} */ selector) => document.querySelectorAll(selector).length === 2, byId("not-confirmed"));
  assert.deepEqual(await marked(), ["Are you there?", "Hello?"]);
  ben.visitor.freeze(false);
  await ann.isTold(/answers again/);
  await ben.hears(2);
  await ann.seesNo("not-confirmed");

  await ann.say("Good.");
  await ben.hears(3);
  ben.visitor.freeze(true);
  await ann.say("One more thing");
  await ann.phase("silent");
  await ben.visitor.kill();
  await ann.isTold(/other person/);
  assert.ok((await marked()).includes("One more thing"));
  assert.ok(!(await marked()).includes("Are you there?"), "what was answered is not doubted again");
});
