/**
 * What is done before it is needed: candidates that go with the offer, and gathering while one waits.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { createRoom, joinRoom, prepare } from "../client/index.js";
import { createWorld, once } from "./fake/world.js";
import { departures } from "./handshake.js";

/** @param {ReturnType<typeof createWorld>} world @param {Parameters<typeof createRoom>[0]} [options] */
async function joinPrepared(world, options) {
  const waiting = await createRoom(options);
  const arrives = once(waiting, "peer");
  prepare(options);
  await world.settle();
  const joined = await joinRoom(waiting.link, options);
  const { peer: two } = await arrives;
  await world.settle();
  return { one: /** @type {import("../client/types.d.ts").Peer} */ (joined.peer), two };
}

/** @param {import("../client/types.d.ts").Peer} peer @param {string} name */
const at = (peer, name) => peer.trace.records.findIndex((record) => record.name === name);

test("candidates found before go with the offer; nothing else is sent or looked up before the channel is open", async (t) => {
  const world = createWorld(t);
  const { one, two } = await joinPrepared(world);
  assert.equal(one.states.channel, "open");
  assert.equal(one.draft?.sdp.match(/^a=candidate:/gm)?.length, 2);
  assert.equal(two.candidates.remote.length, 2);
  assert.deepEqual(one.trace.records.filter(({ kind, name }) => kind === "send" && name === "signal:candidates"), []);
  assert.ok(at(one, "open") > 0);
  assert.ok(at(one, "addIceCandidate") > at(one, "open"));
  assert.ok(at(one, "signal:end-of-candidates") > at(one, "open"));
});

test("where the other side's checks do not come, its candidates are added a moment after the answer", async (t) => {
  const world = createWorld(t);
  world.webrtc.passes = false;
  const { one } = await joinPrepared(world);
  assert.equal(at(one, "addIceCandidate"), -1);
  await world.pass(50);
  assert.ok(at(one, "addIceCandidate") > at(one, "setRemoteDescription"));
  assert.ok(at(one, "signal:end-of-candidates") > 0);
});

test("candidates found in one moment leave in one message", async (t) => {
  const world = createWorld(t);
  world.webrtc.candidates = 8;
  const { two } = await joinPrepared(world);
  assert.equal(two.trace.records.filter(({ kind, name }) => kind === "send" && name.includes("candidate")).length, 1);
});

test("who waits has gathered, and its answer is provisional until the channel is open", async (t) => {
  const world = createWorld(t);
  const { two } = await joinPrepared(world);
  assert.equal(world.webrtc.connections[0]?.configuration.iceCandidatePoolSize, 1);
  const set = two.trace.records.filter(({ name }) => name === "setLocalDescription").map(({ detail }) => detail?.type);
  assert.deepEqual(set, ["pranswer", "answer"]);
  assert.ok(two.trace.records.findIndex(({ detail }) => detail?.type === "answer") > at(two, "open"));
  assert.equal(two.states.signaling, "stable");
  assert.deepEqual(departures(two.trace.records), []);
});

test("an answer is set for good where a path was found and no channel comes", async (t) => {
  const world = createWorld(t);
  world.webrtc.passes = false;
  const { two } = await joinPrepared(world);
  const [connection] = world.webrtc.connections;
  connection?.become("connecting");
  connection?.become("connected");
  await world.settle();
  assert.equal(two.states.signaling, "have-local-pranswer");
  await world.pass(1_000);
  assert.equal(two.states.signaling, "stable");
});

test("an answer that leads to no connection is no obstacle to the end", async (t) => {
  const world = createWorld(t);
  world.webrtc.passes = false;
  const { two } = await joinPrepared(world);
  assert.equal(two.states.signaling, "have-local-pranswer");
  const [connection] = world.webrtc.connections;
  const closed = once(two, "close");
  connection?.become("connecting");
  connection?.become("failed");
  assert.equal((await closed).reason, "failed");
});

test("nothing is gathered ahead where the browser cannot", async (t) => {
  const world = createWorld(t);
  world.webrtc.pools = false;
  const { one, two } = await joinPrepared(world);
  assert.equal(one.states.channel, "open");
  assert.ok(!two.trace.records.some(({ detail }) => detail?.type === "pranswer"));
  assert.deepEqual(departures(two.trace.records), []);
});

const RELAYED = [{ urls: ["stun:192.0.2.9:3478", "turn:192.0.2.9:3478"], username: "u", credential: "c" }, { urls: "turns:192.0.2.9:5349", username: "u", credential: "c" }];
const DIRECT = [{ urls: ["stun:192.0.2.9:3478"], username: "u", credential: "c" }];

for (const [path, policy, servers] of /** @type {const} */ ([[undefined, undefined, RELAYED], ["relay", "relay", RELAYED], ["direct", undefined, DIRECT]])) {
  test(`path ${path ?? "by default"}: the prepared connections and the joiner's are configured for it`, async (t) => {
    const world = createWorld(t);
    await joinPrepared(world, { iceServers: structuredClone(RELAYED), path });
    assert.ok(world.webrtc.connections.length >= 2);
    for (const { configuration } of world.webrtc.connections) {
      assert.equal(configuration.iceTransportPolicy, policy);
      assert.deepEqual(configuration.iceServers, servers);
    }
  });
}
