// What the connection survives, and how soon a loss is noticed: the server killed, the tab closed, crashed, frozen, reloaded, offline.

import assert from "node:assert/strict";

import { LONG, KINDS, PAIRS, scenario } from "./harness.js";
import { Person, byId, messages } from "./person.js";
import { sightings, spy } from "./spy.js";

/** @typedef {import("./browsers.js").Kind} Kind */

/** Milliseconds within which the other side learns of a loss, and is back after a reload. */
const SOON = 5_000;

/** What browsers say of a server that is not there: the socket, and the icon they ask for anew with each address. */
const NO_SERVER = /\/ws\b|\/app\/icons\/crow\.svg/;

/** The second joins the first over the link, both connected. */
async function pair(/** @type {any} */ stage, /** @type {string} */ url, /** @type {Kind} */ first, /** @type {Kind} */ second) {
  const ann = await Person.at(stage, first, url, { expect: [NO_SERVER] });
  const link = await ann.create();
  const ben = await Person.at(stage, second, link, { expect: [NO_SERVER] });
  await Promise.all([ann.connected(), ben.connected()]);
  return { ann, ben, link };
}

/** Both send `count` at once; each hears them all in order, after what it had heard before. */
async function chat(/** @type {Person} */ ann, /** @type {Person} */ ben, /** @type {number} */ count) {
  const [before, beforeBen] = [(await ann.heard()).length, (await ben.heard()).length];
  await Promise.all([ann.sayAll(messages("ann", count)), ben.sayAll(messages("ben", count))]);
  await Promise.all([ann.hears(before + count), ben.hears(beforeBen + count)]);
  assert.deepEqual((await ann.heard()).slice(before), messages("ben", count));
  assert.deepEqual((await ben.heard()).slice(beforeBen), messages("ann", count));
}

/** The time until the last of the things awaited, which must be short. */
async function soon(/** @type {string} */ what, /** @type {Promise<unknown>[]} */ ...things) {
  const start = performance.now();
  await Promise.all(things);
  const took = performance.now() - start;
  assert.ok(took <= SOON, `${what} took ${Math.round(took)} ms`);
}

for (const [first, second] of /** @type {[Kind, Kind][]} */ ([["chromium", "firefox"], ["firefox", "chromium"]])) {
  scenario(`${first} and ${second}: the server killed, they go on; it comes back, and so does signaling`, async (stage) => {
    const server = await stage.serve();
    const { ann, ben, link } = await pair(stage, server.url, first, second);
    await server.kill();
    await Promise.all([ann, ben].map((person) => person.isTold(/server cannot be reached/)));
    await Promise.all([ann.phase("connected"), ben.phase("connected")]);
    await chat(ann, ben, 100);

    await server.restart();
    await soon("back at the server", ann.isTold(/server is back/), ben.isTold(/server is back/));
    await chat(ann, ben, 10);
    assert.equal(await server.metric("crowfly_rooms"), 1, "both are in one room");

    await server.kill();
    await Promise.all([ann, ben].map((person) => toldTimes(person, /server cannot be reached/, 2)));
    await soon("leaving noticed without a server", ben.leave(), ann.isTold(/other person has left/));
    await server.restart();
    // A restarted server knows no rooms: this one is there again when who waits in it is back.
    await soon("alone back at the server", toldTimes(ann, /server is back/, 2));
    const cay = await Person.at(stage, second, link);
    await Promise.all([ann.connected(), cay.connected()]);
    await chat(ann, cay, 10);
  });
}

scenario("killed and started again and again, the server is rejoined within 5 s and the channel is unharmed", async (stage) => {
  const server = await stage.serve();
  const { ann, ben } = await pair(stage, server.url, "chromium", "chromium");
  for (let round = 1; round <= (LONG ? 100 : 5); round += 1) {
    await server.kill();
    await Promise.all([ann, ben].map((person) => toldTimes(person, /server cannot be reached/, round)));
    await server.restart();
    await soon(`round ${round}: back`, toldTimes(ann, /server is back/, round), toldTimes(ben, /server is back/, round));
    await chat(ann, ben, 5);
  }
});

/** Until the page has told this so many times. */
async function toldTimes(/** @type {Person} */ person, /** @type {RegExp} */ pattern, /** @type {number} */ times) {
  await person.visitor.until(
    (/** @type {string} */ source, /** @type {number} */ wanted) =>
      [...document.querySelectorAll('[data-testid="system-line"]')].filter((line) => new RegExp(source).test(line.textContent ?? "")).length >= wanted,
    pattern.source,
    times,
  );
}

for (const kind of KINDS) {
  scenario(`${kind}: stopped politely, the server says so and ends well; the conversation goes on`, async (stage) => {
    const server = await stage.serve();
    const { ann, ben } = await pair(stage, server.url, kind, kind);
    await server.stop();
    await Promise.all([ann, ben].map((person) => person.isTold(/server cannot be reached/)));
    await chat(ann, ben, 20);
  });

  scenario(`${kind}: alone in a room, one is found again after the server's restart`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url, { expect: [NO_SERVER] });
    const link = await ann.create();
    await server.kill();
    await ann.isTold(/server cannot be reached/);
    await server.restart();
    await ann.isTold(/server is back/);
    const ben = await Person.at(stage, kind, link);
    await Promise.all([ann.connected(), ben.connected()]);
  });

  scenario(`${kind}: reloaded while waiting, the room is as it was`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url);
    const link = await ann.create();
    await ann.page.reload();
    assert.equal(await ann.link(), link);
    const ben = await Person.at(stage, "chromium", link);
    await Promise.all([ann.connected(), ben.connected()]);
  });
}

for (const [watching, kind] of PAIRS) {
  scenario(`${kind}: a closed tab is noticed by ${watching} within 5 s, and the next one can join`, async (stage) => {
    const server = await stage.serve();
    const { ann, ben, link } = await pair(stage, server.url, watching, kind);
    await soon("a closed tab", ben.visitor.close(), ann.isTold(/other person/));
    const cay = await Person.at(stage, kind, link);
    await Promise.all([ann.connected(), cay.connected()]);
  });

  scenario(`${kind}: a reload is noticed by ${watching}, and both are connected again within 5 s`, async (stage) => {
    const server = await stage.serve();
    const { ann, ben } = await pair(stage, server.url, watching, kind);
    await soon("reloaded by who joined", ben.page.reload(), ann.isTold(/other person/), toldTimes(ann, /Connected/, 2), ben.connected());
    await chat(ann, ben, 10);
    await soon("reloaded by who waited", ann.page.reload(), ben.isTold(/other person/), toldTimes(ben, /Connected/, 2), ann.connected());
    await chat(ann, ben, 10);
  });

  scenario(`${watching} and ${kind}: both reload at once, and are connected again in the same room`, async (stage) => {
    const server = await stage.serve();
    const { ann, ben } = await pair(stage, server.url, watching, kind);
    for (let round = 1; round <= 3; round += 1) {
      await Promise.all([ann.page.reload(), ben.page.reload()]);
      await Promise.all([ann.connected(), ben.connected()]);
      assert.equal(await server.metric("crowfly_rooms"), 1);
    }
    await chat(ann, ben, 10);
  });

  scenario(`${kind}: killed with all it held, the browser is missed by ${watching} within 5 s, and the next one can join`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, watching, server.url);
    const link = await ann.create();
    const ben = await Person.at(stage, kind, link, { own: true });
    await Promise.all([ann.connected(), ben.connected()]);
    await soon("a killed browser", ben.visitor.kill(), ann.isTold(/other person/));
    const cay = await Person.at(stage, kind, link);
    await Promise.all([ann.connected(), cay.connected()]);
  });

  scenario(`${kind}: killed when the server is gone already, the browser is silent for ${watching} within 5 s, then gone; the room goes on`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, watching, server.url, { expect: [NO_SERVER] });
    const link = await ann.create();
    const ben = await Person.at(stage, kind, link, { own: true, expect: [NO_SERVER] });
    await Promise.all([ann.connected(), ben.connected()]);
    await server.kill();
    await ann.isTold(/server cannot be reached/);
    await soon("silence", ben.visitor.kill(), ann.phase("silent"));
    await ann.isTold(/other person/);
    await server.restart();
    await ann.isTold(/server is back/);
    const cay = await Person.at(stage, kind, link);
    await Promise.all([ann.connected(), cay.connected()]);
    await chat(ann, cay, 10);
  });
}

scenario("chromium: a crashed tab is noticed within 5 s; opened again, both are connected", async (stage) => {
  const server = await stage.serve();
  const { ann, ben, link } = await pair(stage, server.url, "firefox", "chromium");
  ben.visitor.expect(/crash/);
  const devtools = await ben.page.createCDPSession();
  // A crashed tab answers no command, this one included.
  devtools.send("Page.crash").catch(() => {});
  await soon("a crashed tab", ben.visitor.logged(/crash/), ann.isTold(/other person/));
  const again = await Person.at(stage, "chromium", link);
  await Promise.all([ann.connected(), again.connected()]);
});

for (const watching of KINDS) {
  scenario(`chromium: a tab that crashes when the server is gone already is silent for ${watching} within 5 s, then gone`, async (stage) => {
    const server = await stage.serve();
    const { ann, ben } = await pair(stage, server.url, watching, "chromium");
    await server.kill();
    await ann.isTold(/server cannot be reached/);
    ben.visitor.expect(/crash/);
    const devtools = await ben.page.createCDPSession();
    devtools.send("Page.crash").catch(() => {});
    await soon("silence", ben.visitor.logged(/crash/), ann.phase("silent"));
    await ann.isTold(/other person/);
    assert.equal(await ann.isShown("chat-input"), false);
  });
}

scenario("chromium: a frozen browser is silent, not gone, and answers again", async (stage) => {
  const server = await stage.serve();
  const ann = await Person.at(stage, "chromium", server.url);
  const ben = await Person.at(stage, "chromium", await ann.create(), { own: true });
  await Promise.all([ann.connected(), ben.connected()]);
  ben.visitor.freeze(true);
  await soon("silence", ann.phase("silent"));
  await ann.sayAll(["Are you there?"]);
  ben.visitor.freeze(false);
  await ann.isTold(/answers again/);
  await ben.hears(1);
  await chat(ann, ben, 10);
});

for (const [watching, kind] of PAIRS) {
  scenario(`${kind}: offline, the conversation with ${watching} goes on; online again, so does signaling`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, watching, server.url);
    const link = await ann.create();
    const ben = await Person.at(stage, kind, link, { spy, expect: [NO_SERVER] });
    await Promise.all([ann.connected(), ben.connected()]);
    await ben.page.setOfflineMode(true);
    await ben.visitor.until(() => !navigator.onLine);
    await chat(ann, ben, 20);
    const before = (await ben.visitor.run(sightings)).received.length;
    await ben.page.setOfflineMode(false);
    await ben.visitor.until(() => navigator.onLine);
    // Neither browser cuts a WebSocket for this; the page sees for itself whether the server is still there.
    await ben.visitor.until((/** @type {number} */ from) => {
      return /** @type {any} */ (globalThis).seen.received.slice(from).some((/** @type {string} */ text) => JSON.parse(text).type === "pong");
    }, before);
    assert.equal((await ben.texts("system-line")).length, 1, "nothing is told but that they are connected");
    await chat(ann, ben, 20);
    // The server knows both: no third person fits in, and the leaver's seat is free at once.
    const cay = await Person.at(stage, kind, link);
    await cay.sees("error");
    assert.equal(await server.metric("crowfly_rooms"), 1);
    await ben.leave();
    await ann.isTold(/other person has left/);
    const dan = await Person.at(stage, kind, link);
    await Promise.all([ann.connected(), dan.connected()]);
  });
}

for (const kind of KINDS) {
  scenario(`${kind}: a duplicated tab does not take the seat of the one it was made from`, async (stage) => {
    const server = await stage.serve();
    const { ann, ben } = await pair(stage, server.url, kind, kind);
    for (const [person, other] of [[ann, ben], [ben, ann]]) {
      const twin = new Person(await person.visitor.duplicate());
      await twin.sees("error");
      assert.equal(await twin.page.$eval(byId("error"), (element) => element instanceof HTMLElement && element.dataset.code), "room-full");
      await person.page.bringToFront();
      await chat(person, other, 5);
      assert.deepEqual(twin.visitor.problems, []);
      await twin.page.close();
    }
  });

  scenario(`${kind}: the duplicate of a tab that waits alone joins it, as any other tab with the link`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url);
    await ann.create();
    const twin = new Person(await ann.visitor.duplicate());
    await twin.connected();
    await ann.page.bringToFront();
    await ann.connected();
    await ann.sayAll(["Is that me?"]);
    await twin.page.bringToFront();
    await twin.hears(1);
  });
}
