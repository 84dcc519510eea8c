// Step by step: every WebRTC call of the handshake is a button at its peer, in order, and says what it did.

import assert from "node:assert/strict";

import { departures } from "../handshake.js";
import { PAIRS, KINDS, scenario } from "./harness.js";
import { Person, byId } from "./person.js";
import { sightings, spy } from "./spy.js";

/** @typedef {import("./browsers.js").Kind} Kind */

const OFFERER = [
  "p1-create-connection", "p1-create-channel", "p1-create-offer", "p1-set-local-offer", "p1-send-offer",
  "p1-send-candidates", "p1-add-candidates", "p1-set-remote-answer",
];
const ANSWERER = [
  "p2-create-connection", "p2-set-remote-offer", "p2-create-answer", "p2-set-local-answer", "p2-send-answer",
  "p2-send-candidates", "p2-add-candidates",
];

/** `first` waits in a room with step by step chosen, `second` opens the link. */
async function begin(/** @type {any} */ stage, /** @type {Kind} */ first, /** @type {Kind} */ second) {
  const server = await stage.serve();
  const ann = await Person.at(stage, first, server.url, { spy });
  await ann.click("step-switch");
  const link = await ann.create("steps-room"); // an open room: what is signaled can be read
  await ann.sees("steps-waiting");
  assert.deepEqual(await shownSteps(ann), [], "who waits has no step yet");
  const ben = await Person.at(stage, second, link, { spy });
  await until(ben, "p1-create-connection", "ready");
  return { server, ann, ben };
}

/** The steps on the board, in order. @returns {Promise<string[]>} */
function shownSteps(/** @type {Person} */ person) {
  return person.page.$$eval('[data-testid^="step-p"]', (buttons) => buttons.map((button) => /** @type {HTMLElement} */ (button).dataset.testid?.replace("step-", "") ?? ""));
}

/** Steps whose buttons can be pressed. @returns {Promise<string[]>} */
function pressable(/** @type {Person} */ person) {
  return person.page.$$eval('[data-testid^="step-p"]:enabled', (buttons) => buttons.map((button) => /** @type {HTMLElement} */ (button).dataset.testid?.replace("step-", "") ?? ""));
}

/** Until a step is in this state. */
async function until(/** @type {Person} */ person, /** @type {string} */ step, /** @type {string} */ state) {
  await person.visitor.until(
    (/** @type {string} */ selector, /** @type {string} */ wanted) => /** @type {HTMLElement | null} */ (document.querySelector(selector)?.closest("[data-state]"))?.dataset.state === wanted,
    byId(`step-${step}`),
    state,
  );
}

/** Presses a step that is ready, until it is done. Returns what it changed, by name: [before, after]. */
async function press(/** @type {Person} */ person, /** @type {string} */ step) {
  await until(person, step, "ready");
  await person.click(`step-${step}`);
  await until(person, step, "done");
  return person.page.$eval(byId(`step-${step}`), (button) => {
    const chips = [...(button.closest("li")?.querySelectorAll(".outcome [data-name]") ?? [])];
    return Object.fromEntries(chips.map((chip) => {
      const { name = "", before, after } = /** @type {HTMLElement} */ (chip).dataset;
      return [name, [before, after]];
    }));
  });
}

/** Candidates listed under a step, with those marked as buffered. */
function candidates(/** @type {Person} */ person, /** @type {string} */ step) {
  return person.page.$eval(byId(`step-${step}`), (button) => {
    const card = button.closest("li");
    return {
      types: [...(card?.querySelectorAll('[data-testid="candidate"]') ?? [])].map((item) => /** @type {HTMLElement} */ (item).dataset.type),
      buffered: card?.querySelectorAll('[data-testid="buffered"]').length,
      complete: card?.querySelector('[data-testid="end-of-candidates"]') !== null,
    };
  });
}

/** Payloads of the signals a page sent. @returns {Promise<any[]>} */
async function signals(/** @type {Person} */ person) {
  const { sent } = await person.visitor.run(sightings);
  return sent.filter((/** @type {any} */ { type }) => type === "signal").map((/** @type {any} */ { payload }) => payload);
}

for (const [first, second] of PAIRS) {
  scenario(`${first} waits, ${second} joins: the whole handshake by buttons, each in its turn, with its states`, async (stage) => {
    const { server, ann, ben } = await begin(stage, first, second);
    assert.deepEqual(await shownSteps(ben), OFFERER);
    assert.deepEqual(await pressable(ben), ["p1-create-connection"], "one step is ready, the others are locked");
    assert.deepEqual(await ben.visitor.run(sightings).then(({ connections }) => connections), [], "nothing is made before its button");
    assert.match(await ben.text("peer-state"), /connecting/i);
    assert.match(await ann.text("peer-state"), /connecting/i);

    assert.deepEqual(await press(ben, "p1-create-connection"), { signaling: ["stable", "stable"], connection: ["new", "new"] });
    assert.match(await ben.text("next-step"), /1 of 8 .*data channel/i, "the next step is named");
    assert.deepEqual(await press(ben, "p1-create-channel").then(({ channel }) => channel), ["none", "connecting"]);
    await press(ben, "p1-create-offer");
    assert.deepEqual(await ben.visitor.run(sightings).then(({ made }) => made.length), 1);
    const local = await press(ben, "p1-set-local-offer");
    assert.deepEqual(local.signaling, ["stable", "have-local-offer"]);
    await ben.sees("sdp");
    const sdp = await ben.text("sdp");
    assert.equal(sdp.match(/m=application/g)?.length, 1, "one application section");
    assert.match(sdp, /UDP\/DTLS\/SCTP/);
    assert.deepEqual(await shownSteps(ann), [], "who waits has no step before the offer has arrived");
    await press(ben, "p1-send-offer");
    await until(ben, "p1-set-remote-answer", "waiting");

    await until(ann, "p2-create-connection", "ready");
    assert.deepEqual(await shownSteps(ann), ANSWERER);
    assert.deepEqual(await pressable(ann), ["p2-create-connection"]);
    assert.deepEqual(await press(ann, "p2-create-connection"), { signaling: ["stable", "stable"], connection: ["new", "new"] });
    assert.deepEqual((await press(ann, "p2-set-remote-offer")).signaling, ["stable", "have-remote-offer"]);
    assert.deepEqual((await press(ann, "p2-create-answer")).signaling, ["have-remote-offer", "have-remote-offer"]);
    assert.deepEqual((await press(ann, "p2-set-local-answer")).signaling, ["have-remote-offer", "stable"]);
    await press(ann, "p2-send-answer");
    await press(ann, "p2-send-candidates");
    const gathered = await candidates(ann, "p2-set-local-answer");
    assert.ok(gathered.complete && gathered.types.length > 0, "at least one candidate, and the end of them");

    await press(ben, "p1-send-candidates");
    const own = await candidates(ben, "p1-set-local-offer");
    const [batch] = (await signals(ben)).filter(({ kind }) => kind === "candidates");
    assert.equal(batch.candidates.length, own.types.length, "sent is what was gathered");
    assert.equal(batch.complete, true);

    // Stage 5: candidates before the answer is set are buffered, then flushed in order.
    await press(ben, "p1-add-candidates");
    const held = await candidates(ben, "p1-add-candidates");
    assert.deepEqual(held.types, gathered.types, "received what was sent");
    assert.equal(held.buffered, gathered.types.length, "all wait in the buffer");
    assert.deepEqual(await ben.visitor.run(sightings).then(({ added, early }) => [added, early]), [0, 0], "none is added early");
    assert.deepEqual((await press(ben, "p1-set-remote-answer")).signaling, ["have-local-offer", "stable"]);
    await ben.visitor.until(() => document.querySelector('[data-testid="buffered"]') === null);
    // The end of candidates is told to the browser, too.
    await ben.visitor.until((/** @type {number} */ count) => /** @type {any} */ (globalThis).seen.added === count, gathered.types.length + 1);
    await press(ann, "p2-add-candidates");
    await Promise.all([ann.sees("milestone"), ben.sees("milestone"), ann.connected(), ben.connected()]);

    for (const [person, kinds] of /** @type {[Person, string[]][]} */ ([[ann, ["description", "candidates"]], [ben, ["description", "candidates"]]])) {
      assert.deepEqual((await signals(person)).map(({ kind }) => kind).filter((kind) => kind !== "steps"), kinds, "one description, one batch");
      const { early, connections } = await person.visitor.run(sightings);
      assert.deepEqual([early, connections.length], [0, 1]);
    }
    const sent = (await signals(ann)).length + (await signals(ben)).length;
    assert.equal(await server.metric("crowfly_signals_relayed_total"), sent, "the server relayed each of them once");
    await ann.say("by hand");
    await ben.hears(1);
    for (const person of [ann, ben]) {
      const [, ...records] = await person.trace();
      assert.deepEqual(departures(records), [], "the trace, as saved from the page, matches docs/handshake.md");
    }
  });
}

for (const kind of KINDS) {
  scenario(`${kind}: by keyboard alone, the focus leading from step to step; a second click does nothing`, async (stage) => {
    const { ann, ben } = await begin(stage, "chromium", kind);
    await ben.page.focus(byId("step-p1-create-connection"));
    for (const [index, step] of OFFERER.slice(0, 5).entries()) {
      await until(ben, step, "ready");
      await ben.visitor.until((/** @type {string} */ selector) => document.activeElement?.matches(selector), byId(`step-${step}`));
      await ben.page.keyboard.press("Enter");
      await until(ben, step, "done");
      // Pressed again, by a script even: the button is dead, and nothing happens twice.
      await ben.page.$eval(byId(`step-${step}`), (button) => /** @type {HTMLButtonElement} */ (button).click());
      assert.match(await ben.text("next-step"), new RegExp(`^${index + 1} of 8`));
    }
    const { connections, made } = await ben.visitor.run(sightings);
    assert.deepEqual([connections.length, made.length], [1, 1]);
    assert.equal((await signals(ben)).filter(({ kind: name }) => name === "description").length, 1);
    await until(ann, "p2-create-connection", "ready");
  });

  scenario(`${kind}: two clicks at once make one call, and no complaint`, async (stage) => {
    const { ben } = await begin(stage, "chromium", kind);
    await ben.page.$eval(byId("step-p1-create-connection"), (button) => {
      /** @type {HTMLButtonElement} */ (button).click();
      /** @type {HTMLButtonElement} */ (button).click();
    });
    await until(ben, "p1-create-channel", "ready");
    assert.equal(await ben.visitor.run(sightings).then(({ connections }) => connections.length), 1);
    assert.deepEqual((await ben.page.$$eval(".step-problem", (lines) => lines.map((line) => line.textContent))).filter(Boolean), []);
  });

  scenario(`${kind}: left in the middle, the other side is told, and a new pair begins from the start`, async (stage) => {
    const { ann, ben } = await begin(stage, kind, "chromium");
    for (const step of OFFERER.slice(0, 5)) await press(ben, step);
    await press(ann, "p2-create-connection");
    await ben.leave();
    await ann.isTold(/other person/);
    const link = (await ann.link()).replace("/?steps#", "/#");
    assert.deepEqual(await pressable(ann), [], "the steps of a pairing that is over are dead");
    const cay = await Person.at(stage, "chromium", link.replace("/#", "/?steps#"));
    await press(cay, "p1-create-connection");
    assert.deepEqual(await pressable(cay), ["p1-create-channel"]);
    assert.equal(await ann.visitor.run(sightings).then(({ connections }) => connections.at(-1)), "closed");
  });

  scenario(`${kind}: one side by buttons, the other automatic`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url);
    await ann.click("step-switch");
    const link = await ann.create();
    const ben = await Person.at(stage, "chromium", link.replace("?steps", ""));
    for (const step of ANSWERER) await press(ann, step);
    await Promise.all([ann.connected(), ben.connected()]);
    await ben.leave();
    await ann.isTold(/other person has left/);
    // The choice was made for the link, not for ever; the board offers the other way.
    const cay = await Person.at(stage, "chromium", link);
    await press(cay, "p1-create-connection");
    await cay.click("automatic");
    for (const step of ANSWERER) await press(ann, step);
    await Promise.all([ann.connected(), cay.connected()]);
  });
}
