/**
 * The traces of both peers against docs/handshake.md, in automatic and in step mode; and the checker against traces that depart from it.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { createRoom, joinRoom, prepare } from "../client/index.js";
import { createWorld, once } from "./fake/world.js";
import { departures, rules } from "./handshake.js";

/** @param {ReturnType<typeof createWorld>} world @param {{ prepared?: boolean }} [options] */
async function connect(world, { prepared = false } = {}) {
  const waiting = await createRoom();
  const arrives = once(waiting, "peer");
  if (prepared) {
    prepare();
    await world.settle();
  }
  const joined = await joinRoom(waiting.link);
  const { peer: two } = await arrives;
  const one = /** @type {import("../client/types.d.ts").Peer} */ (joined.peer);
  await world.settle();
  assert.equal(one.states.channel, "open");
  return { waiting, joined, one, two };
}

test("the document has rules for both peers in every stage", () => {
  assert.deepEqual([...new Set(rules.map(({ stage }) => stage))], [1, 2, 3, 4, 5]);
  assert.ok(rules.length > 50);
});

for (const prepared of [false, true]) {
  test(`automatic mode, ${prepared ? "prepared" : "from a standing start"}: both traces match the document, to the end`, async (t) => {
    const world = createWorld(t);
    const { joined, one, two } = await connect(world, { prepared });
    assert.deepEqual(departures(one.trace.records), []);
    assert.deepEqual(departures(two.trace.records), []);
    await joined.leave();
    await world.settle();
    assert.deepEqual(departures(one.trace.records), []);
    assert.deepEqual(departures(two.trace.records), []);
    assert.equal(two.states.connection, "closed");
  });
}

test("every departure is told", async (t) => {
  const world = createWorld(t);
  const { one, two } = await connect(world);
  const records = structuredClone(one.trace.records);
  /** @param {string} name @param {string} [kind] */
  const at = (name, kind) => records.findIndex((record) => record.name === name && (!kind || record.kind === kind));
  /** @param {(copy: typeof records) => void} change */
  const changed = (change) => {
    const copy = structuredClone(records);
    change(copy);
    return departures(copy).join("\n");
  };
  assert.match(changed((copy) => copy.splice(at("createOffer"), 1)), /missing: PEER1 call createOffer/);
  assert.match(changed((copy) => copy.push({ ...copy[at("createOffer")], stage: 1 })), /2 times: PEER1 call createOffer/);
  assert.match(changed((copy) => copy.unshift(...copy.splice(at("signal:offer"), 1))), /too early: PEER1 send signal:offer|too early: PEER1 call RTC/);
  assert.match(changed((copy) => (copy[at("createOffer")].stage = 3)), /stage 3 instead of 1/);
  assert.match(changed((copy) => copy.push({ t: 1, peer: "PEER1", stage: 1, kind: "call", name: "createAnswer" })), /not in the document/);
  assert.match(changed((copy) => (copy[at("addIceCandidate")].t = -1)), /before the remote description/);
  assert.match(changed((copy) => copy.push(copy[at("addIceCandidate")])), /added twice/);
  assert.match(changed((copy) => copy.push({ t: 1, peer: "PEER1", stage: 5, kind: "note", name: "candidate-buffered" })), /buffered/);
  assert.match(changed((copy) => (copy[at("signalingState")].detail = { from: "stable", to: "have-remote-offer" })), /signalingState ran/);
  assert.notDeepEqual(departures([...two.trace.records, ...one.trace.records]), []);
  assert.deepEqual(departures([]), ["an empty trace"]);
});
