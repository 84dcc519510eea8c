// The main job: two browsers, one link, a direct connection. Each browser with itself and with the other, in both roles.

import assert from "node:assert/strict";

import { departures } from "../handshake.js";
import { KINDS, PAIRS, scenario } from "./harness.js";
import { Person, messages } from "./person.js";
import { programs } from "./program.js";
import { sightings, spy } from "./spy.js";

for (const [first, second] of PAIRS) {
  scenario(`${first} makes a room, ${second} joins by link, both chat, one leaves, a third joins`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, first, server.url);
    const link = await ann.create();
    const ben = await Person.at(stage, second, link);
    await Promise.all([ann.connected(), ben.connected()]);
    await chat(ann, ben, 100);

    await ben.leave();
    await ann.isTold(/other person has left/);
    assert.equal(await ann.link(), link, "the room stays, under the same link");
    const cay = await Person.at(stage, second, link);
    await Promise.all([ann.connected(), cay.connected()]);
    await chat(ann, cay, 10, 100);
  });
}

/**
 * Both send at once; each hears everything, equal and in order.
 * @param {Person} one @param {Person} other @param {number} count @param {number} [before] messages `one` had heard already
 */
async function chat(one, other, count, before = 0) {
  await Promise.all([one.sayAll(messages("one", count)), other.sayAll(messages("other", count))]);
  await Promise.all([one.hears(before + count), other.hears(count)]);
  assert.deepEqual((await one.heard()).slice(before), messages("other", count));
  assert.deepEqual(await other.heard(), messages("one", count));
}

for (const [first, second] of PAIRS) {
  scenario(`${first} and ${second}: one offer from the last to arrive, one channel, nothing early, no chat through the server`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, first, server.url, { spy });
    // By a name of its own the room is open, and its payloads can be read here.
    const link = await ann.create("nest");
    const ben = await Person.at(stage, second, server.url, { spy });
    await ben.join(link);
    await Promise.all([ann.connected(), ben.connected()]);
    // Gathering may go on for a moment after the channel opened; the last signal says that it is over.
    for (const person of [ann, ben]) {
      await person.visitor.until(() => /** @type {any} */ (globalThis).seen.sent.some((/** @type {string} */ text) => /"complete":true|end-of-candidates/.test(text)));
    }
    const relayed = await server.metric("crowfly_signals_relayed_total");
    const said = () => Promise.all([ann, ben].map(async (person) => (await person.visitor.run(sightings)).sent.filter(({ type }) => type !== "ping")));
    const before = await said();
    await chat(ann, ben, 20);
    assert.equal(await server.metric("crowfly_signals_relayed_total"), relayed, "no signal while chatting");
    assert.deepEqual(await said(), before, "the server is asked whether it is there, every 25 s, and told nothing");

    const [waited, joined] = [await ann.visitor.run(sightings), await ben.visitor.run(sightings)];
    assert.deepEqual(descriptions(joined), ["offer"], "the last to arrive offers, once");
    assert.deepEqual(descriptions(waited), ["answer"], "who waited answers, once");
    assert.equal(joined.made.length, 1, "one channel is made");
    assert.equal(joined.got.length, 0);
    assert.equal(waited.made.length, 0, "the answerer makes none");
    assert.deepEqual(waited.got, joined.made, "both ends tell the same label and options");
    assert.deepEqual([waited.early, joined.early], [0, 0], "no candidate before a remote description");
    const signals = waited.sent.length + joined.sent.length - joined.sent.filter(({ type }) => type !== "signal").length;
    assert.equal(relayed, signals - waited.sent.filter(({ type }) => type !== "signal").length, "every signal was relayed once");
  });
}

for (const [first, second] of PAIRS) {
  scenario(`${first} and ${second}: both traces match docs/handshake.md, from the first call to the last state`, async (stage) => {
    const { waiting, joining } = await programs(stage, first, second);
    const ended = waiting.run(() => /** @type {any} */ (globalThis).next(/** @type {any} */ (globalThis).peer, "close"));
    await joining.run(() => /** @type {any} */ (globalThis).peer.send("hello"));
    await waiting.until(() => /** @type {any} */ (globalThis).messages.length === 1);
    await joining.run(() => /** @type {any} */ (globalThis).room.leave());
    await ended;
    for (const [page, peer, reason] of /** @type {const} */ ([[joining, "PEER1", "leave"], [waiting, "PEER2", "goodbye"]])) {
      const lines = await page.run(() => /** @type {any} */ (globalThis).peer.trace.toJSONLines());
      const [header, ...records] = lines.trimEnd().split("\n").map((/** @type {string} */ line) => JSON.parse(line));
      assert.equal(header.role ?? header.peer, peer);
      assert.deepEqual(departures(records), [], peer);
      const ends = records.filter((/** @type {any} */ { kind, name }) => kind === "note" && name === "ended");
      assert.deepEqual(ends.map((/** @type {any} */ { detail }) => detail.reason), [reason], "the one who stays learns why");
      for (const state of ["signalingState", "connectionState", "channelState"]) {
        assert.equal(records.findLast((/** @type {any} */ { name }) => name === state).detail.to, "closed", `${peer} ${state}`);
      }
    }
  });
}

/** Types of the descriptions a page sent. @param {ReturnType<typeof sightings>} seen */
function descriptions({ sent }) {
  return sent.filter(({ type, payload }) => type === "signal" && payload.kind === "description").map(({ payload }) => payload.description.type);
}

/** Candidate types a page sent. @param {Person} person @returns {Promise<string[]>} */
async function candidateTypes(person) {
  const { sent } = await person.visitor.run(sightings);
  const candidates = sent.flatMap(({ payload }) => payload?.candidates ?? (payload?.candidate ? [payload.candidate] : []));
  return candidates.map(({ candidate }) => / typ (\w+)/.exec(candidate)?.[1] ?? candidate);
}

// Firefox asks no STUN server on a loopback address unless told to; elsewhere it needs no setting.
const LOOPBACK = { "media.peerconnection.ice.loopback": true };

for (const kind of KINDS) {
  scenario(`${kind}: the own STUN server brings srflx candidates`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url, { spy, prefs: LOOPBACK });
    const ben = await Person.at(stage, kind, await ann.create("nest"), { spy, prefs: LOOPBACK });
    await Promise.all([ann.connected(), ben.connected()]);
    await ben.visitor.until(() => /** @type {any} */ (globalThis).seen.sent.some((/** @type {string} */ text) => text.includes(" typ srflx")));
    assert.ok((await server.metric("crowfly_stun_requests_total")) > 0, "the server answered");
  });

  for (const args of [["--no-stun"], ["--ice-servers", "[]"]]) {
    scenario(`${kind}: ${args.join(" ")} leaves host candidates only`, async (stage) => {
      const server = await stage.serve(...args);
      const ann = await Person.at(stage, kind, server.url, { spy, prefs: LOOPBACK });
      const ben = await Person.at(stage, kind, await ann.create("nest"), { spy, prefs: LOOPBACK });
      await Promise.all([ann.connected(), ben.connected()]);
      for (const person of [ann, ben]) {
        await person.visitor.until(() => /** @type {any} */ (globalThis).seen.sent.some((/** @type {string} */ text) => /"complete":true|end-of-candidates/.test(text)));
        assert.deepEqual([...new Set(await candidateTypes(person))], ["host"]);
      }
    });
  }
}
