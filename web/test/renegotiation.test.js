/**
 * Later negotiations (ICE restarts) of which something is lost on the way: nobody notices but by what is missing.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { pair } from "./fake/pair.js";
import { collect, createWorld } from "./fake/world.js";

/**
 * Swallows what matches, until told otherwise: each time the first so many.
 * @param {ReturnType<typeof createWorld>} world @param {(payload: any, from: string) => boolean} matches @param {number} [count]
 */
function swallow(world, matches, count = Infinity) {
  const { signal } = world.server.handlers;
  let swallowed = 0;
  world.server.handlers.signal = (/** @type {any} */ socket, /** @type {any} */ message) => {
    if (!matches(message.payload, socket.peer) || swallowed === count) return signal(socket, message);
    swallowed += 1;
  };
  return {
    get count() {
      return swallowed;
    },
    stop: () => void (world.server.handlers.signal = signal),
  };
}

/** @param {any} payload */
const isAnswer = (payload) => payload.description?.type === "answer";

/** @param {ReturnType<typeof createWorld>} world */
const states = (world) => world.webrtc.connections.map(({ signalingState }) => signalingState);

test("the answer to a new path's offer is lost: the offer comes again, and so do the answer and its candidates", async (t) => {
  const world = createWorld(t);
  const { waiting, one, two } = await pair(world);
  const left = collect(waiting, "peer-left");
  // A connection to the server that dies unnoticed swallows all that comes behind the answer, too.
  let dead = false;
  const lost = swallow(world, (payload, from) => (dead ||= isAnswer(payload)) && from === waiting.id);
  world.webrtc.passes = false;
  world.webrtc.connections.find(({ channels }) => channels[0]?.remote === false)?.become("failed");
  await world.pass(500);
  assert.ok(lost.count >= 2, "the answer and candidates were lost");
  assert.deepEqual(states(world).sort(), ["have-local-offer", "stable"]);
  lost.stop();
  await world.pass(7_500); // until PEER2 says that it hears nothing
  assert.deepEqual(states(world), ["stable", "stable"]);
  world.webrtc.passes = true;
  await world.pass(2_000);
  assert.deepEqual(left, []);
  assert.deepEqual([one.states.liveness, two.states.liveness], ["alive", "alive"]);
  assert.deepEqual(one.candidates.remote.slice(-2), two.candidates.local);
});

test("the answer is lost, and then PEER2 makes an offer, too: PEER1 says its own again, PEER2 gives way", async (t) => {
  const world = createWorld(t);
  const { waiting, one, two } = await pair(world);
  const left = collect(waiting, "peer-left");
  swallow(world, isAnswer, 1);
  world.webrtc.passes = false;
  const [here, there] = [false, true].map((remote) => world.webrtc.connections.find(({ channels }) => channels[0]?.remote === remote));
  here?.become("failed");
  await world.pass(500);
  assert.deepEqual([here?.signalingState, there?.signalingState], ["have-local-offer", "stable"]);
  there?.become("failed");
  world.webrtc.passes = true;
  await world.pass(500);
  assert.deepEqual(states(world), ["stable", "stable"]);
  await world.pass(3_000);
  assert.deepEqual([one.states.liveness, two.states.liveness], ["alive", "alive"]);
  assert.deepEqual(left, []);
});

test("PEER1's answer is lost: PEER2's offer comes again and is answered again", async (t) => {
  const world = createWorld(t);
  const { joined, two } = await pair(world);
  const [here, there] = [false, true].map((remote) => world.webrtc.connections.find(({ channels }) => channels[0]?.remote === remote));
  swallow(world, isAnswer, 1);
  there?.become("failed");
  await world.pass(500);
  assert.deepEqual([here?.signalingState, there?.signalingState], ["stable", "have-local-offer"]);
  // PEER1 loses the server and is back: what it may not have heard is said again when the channel is silent.
  world.webrtc.passes = false;
  await world.pass(4_000);
  assert.equal(two.states.liveness, "silent");
  world.server.rooms.get(joined.name)?.seats.forEach(({ socket }) => socket.say({ type: "peer-online", peer: joined.id }));
  await world.pass(500);
  world.webrtc.passes = true;
  await world.pass(2_000);
  assert.deepEqual(states(world), ["stable", "stable"]);
  assert.equal(two.states.liveness, "alive");
});
