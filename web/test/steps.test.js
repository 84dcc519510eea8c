/**
 * Step mode: every call is a button of its peer, in order; wrong presses are refused and explained, and nothing happens by itself.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { createRoom, joinRoom } from "../client/index.js";
import { pair } from "./fake/pair.js";
import { collect, createWorld, once } from "./fake/world.js";
import { departures } from "./handshake.js";

/** @import { Peer, StepId } from "../client/types.d.ts" */

/** @param {Peer} peer */
const stateOf = (peer) => Object.fromEntries(peer.steps.map(({ id, state }) => [id, state]));
/** @param {Peer} peer */
const ready = (peer) => peer.steps.filter(({ state }) => state === "ready").map(({ id }) => id);

/** The offer, pressed up to its leaving. @param {Peer} one */
async function offer(one) {
  for (const id of /** @type {StepId[]} */ (["p1-create-connection", "p1-create-channel", "p1-create-offer", "p1-set-local-offer", "p1-send-offer"])) await one.press(id);
}

test("nothing happens by itself; the joiner sees its steps, who waits none until the offer has come", async (t) => {
  const world = createWorld(t);
  const { one, two } = await pair(world, { steps: true });
  assert.equal(world.webrtc.connections.length, 0);
  assert.deepEqual(one.steps.map(({ state }) => state), ["ready", ...Array(7).fill("locked")]);
  assert.deepEqual(two.steps, []);
  assert.deepEqual(await one.stats(), { path: null, roundTrip: null, iceRoundTrip: null, bytesSent: 0, bytesReceived: 0, messagesSent: 0, messagesReceived: 0, bufferedAmount: 0 });
  await world.pass(60_000);
  assert.equal(world.webrtc.connections.length, 0);
  await offer(one);
  await world.settle();
  assert.deepEqual(two.steps.map(({ state }) => state), ["ready", ...Array(6).fill("locked")]);
  assert.deepEqual(one.steps.filter(({ state }) => state === "waiting").map(({ id, waitsFor }) => [id, waitsFor]), [
    ["p1-add-candidates", "the other side's candidates"],
    ["p1-set-remote-answer", "the other side's answer"],
  ]);
});

test("pressed to the end it connects, both traces match the document, and the steps tell the states before and after", async (t) => {
  const world = createWorld(t);
  const { joined, one, two } = await pair(world, { steps: true });
  await offer(one);
  await world.settle();
  for (const id of /** @type {StepId[]} */ (["p2-create-connection", "p2-set-remote-offer", "p2-create-answer", "p2-set-local-answer", "p2-send-answer", "p2-send-candidates"])) {
    await two.press(id);
    await world.settle();
  }
  await one.press("p1-add-candidates");
  assert.equal(one.candidates.buffered.length, 3, "no remote description yet: two candidates and their end");
  await one.press("p1-set-remote-answer");
  assert.equal(one.candidates.buffered.length, 0);
  await one.press("p1-send-candidates");
  await world.settle();
  await two.press("p2-add-candidates");
  await world.settle();
  assert.deepEqual([one.states.channel, two.states.channel], ["open", "open"]);
  assert.deepEqual([...one.steps, ...two.steps].filter(({ state }) => state !== "done"), []);
  const set = one.steps.find(({ id }) => id === "p1-set-local-offer");
  assert.deepEqual([set?.before?.signaling, set?.after?.signaling], ["stable", "have-local-offer"]);
  assert.deepEqual(world.server.relayed.filter((kind) => kind !== "steps"), ["offer", "answer", "candidates", "candidates"], "candidates go in one batch");
  assert.deepEqual(departures(one.trace.records), []);
  assert.deepEqual(departures(two.trace.records), []);
  await joined.leave();
});

test("wrong moves are refused, with the state the step is in, and change nothing", async (t) => {
  const world = createWorld(t);
  const { one, two } = await pair(world, { steps: true });
  const wrong = async (/** @type {Peer} */ peer, /** @type {string} */ id, /** @type {RegExp} */ why) => {
    const calls = () => peer.trace.records.filter(({ kind }) => kind === "call").length;
    const before = [stateOf(peer), calls()];
    await assert.rejects(peer.press(/** @type {StepId} */ (id)), (error) => error.code === "wrong-step" && why.test(error.message), id);
    assert.deepEqual([stateOf(peer), calls()], before);
  };
  await wrong(one, "p1-create-offer", /locked/);
  await wrong(one, "p1-send-offer", /locked/);
  await wrong(one, "p2-create-answer", /locked/);
  await wrong(one, "no-such-step", /locked/);
  await wrong(two, "p2-create-connection", /waiting/);
  await one.press("p1-create-connection");
  await wrong(one, "p1-create-connection", /done/);
  const creating = one.press("p1-create-channel").then(() => one.press("p1-create-offer"));
  await creating;
  const setting = one.press("p1-set-local-offer");
  assert.equal(stateOf(one)["p1-set-local-offer"], "running");
  await assert.rejects(one.press("p1-set-local-offer"), { code: "wrong-step", message: /running/ });
  await setting;
  await one.press("p1-send-offer");
  await wrong(one, "p1-set-remote-answer", /waiting/);
  await wrong(one, "p1-add-candidates", /waiting/);
  await world.settle();
  await two.press("p2-create-connection");
  await wrong(two, "p2-create-answer", /locked/);
  await wrong(two, "p2-add-candidates", /waiting/);
});

test("candidates are sent when gathering is complete, and only once; more that come may be added again", async (t) => {
  const world = createWorld(t);
  world.webrtc.gathers = false;
  const { one, two } = await pair(world, { steps: true }, { steps: true });
  await offer(one);
  await world.settle();
  assert.equal(stateOf(one)["p1-send-candidates"], "waiting");
  const [connection] = world.webrtc.connections;
  connection?.found(1);
  assert.equal(stateOf(one)["p1-send-candidates"], "waiting");
  connection?.gather(1);
  assert.equal(stateOf(one)["p1-send-candidates"], "ready");
  await one.press("p1-send-candidates");
  await assert.rejects(one.press("p1-send-candidates"), { code: "wrong-step" });
  await world.settle();
  await two.press("p2-create-connection");
  await two.press("p2-add-candidates");
  assert.equal(two.candidates.buffered.length, 2, "one candidate (found twice, kept once) and the end");
  assert.equal(stateOf(two)["p2-add-candidates"], "done");
});

test("the mode of one side is its own: a person on one side, automatic on the other, and nobody loses patience", async (t) => {
  const world = createWorld(t);
  for (const [steps, joinSteps] of [[true, false], [false, true]]) {
    const { waiting, joined, one, two } = await pair(world, { steps }, { steps: joinSteps });
    const errors = [...[one, two].map((peer) => collect(peer, "error")), collect(waiting, "peer-left")];
    await world.pass(40_000);
    const [person, other] = steps ? [two, one] : [one, two];
    assert.deepEqual(errors.flat(), []);
    assert.deepEqual(other.steps, []);
    for (let presses = 0; presses < 12; presses++) {
      const [next] = ready(person);
      if (next) await person.press(next);
      await world.settle();
    }
    assert.deepEqual([one.states.channel, two.states.channel], ["open", "open"]);
    await assert.rejects(other.press(/** @type {StepId} */ (steps ? "p1-create-offer" : "p2-create-answer")), { code: "wrong-step" });
    await Promise.all([waiting.leave(), joined.leave()]);
    await world.settle();
  }
});

test("a browser that gives up while a person is still pressing is helped by another offer, once the answer is set", async (t) => {
  const world = createWorld(t);
  for (const joinSteps of [true, false]) {
    const relayed = world.server.relayed.length;
    const { joined, waiting, one, two } = await pair(world, { steps: true }, { steps: joinSteps });
    const errors = [collect(one, "error"), collect(two, "error")];
    if (joinSteps) await offer(one);
    await world.settle();
    for (const id of /** @type {StepId[]} */ (["p2-create-connection", "p2-set-remote-offer", "p2-create-answer", "p2-set-local-answer"])) await two.press(id);
    const connection = world.webrtc.connections.findLast(({ remoteDescription }) => remoteDescription?.type === "offer");
    connection?.become("failed");
    await world.settle();
    assert.deepEqual(world.server.relayed.slice(relayed).filter((kind) => kind === "silent" || kind === "answer"), ["silent"]);
    await two.press("p2-send-answer");
    await world.settle();
    if (joinSteps) await one.press("p1-set-remote-answer");
    await world.settle();
    assert.deepEqual([one.states.channel, two.states.channel], ["open", "open"]);
    assert.deepEqual(errors.flat(), []);
    await Promise.all([joined.leave(), waiting.leave()]);
    await world.settle();
  }
});

test("a step that fails says so, stays to be pressed again, and ends nothing", async (t) => {
  const world = createWorld(t);
  const { joined, one } = await pair(world, { steps: true });
  const Working = globalThis.RTCPeerConnection;
  /** @type {any} */ (globalThis).RTCPeerConnection = class {
    constructor() {
      throw new DOMException("too many", "UnknownError");
    }
  };
  await assert.rejects(one.press("p1-create-connection"), { code: "step-failed", message: /too many/ });
  assert.equal(stateOf(one)["p1-create-connection"], "failed");
  assert.ok(one.trace.records.some(({ kind, name }) => kind === "error" && name === "step-failed"));
  /** @type {any} */ (globalThis).RTCPeerConnection = Working;
  await one.press("p1-create-connection");
  assert.equal(stateOf(one)["p1-create-connection"], "done");
  assert.equal(joined.closed, false);
});

test("every change of a step is an event that carries them all", async (t) => {
  const world = createWorld(t);
  const room = await createRoom({ steps: true });
  const arrives = once(room, "peer");
  const { peer } = await joinRoom(room.link, { steps: true });
  const { peer: two } = await arrives;
  const events = collect(/** @type {Peer} */ (peer), "step");
  await peer?.press("p1-create-connection");
  assert.equal(events.at(-1)?.step.id, "p1-create-channel");
  assert.equal(events.at(-1)?.steps.length, 8);
  const offered = collect(two, "step");
  for (const id of /** @type {StepId[]} */ (["p1-create-channel", "p1-create-offer", "p1-set-local-offer", "p1-send-offer"])) await peer?.press(id);
  await world.settle();
  assert.equal(offered.at(-1)?.step.id, "p2-create-connection");
});

test("leaving in the middle of the steps leaves nothing", async (t) => {
  const world = createWorld(t);
  const { waiting, joined, one } = await pair(world, { steps: true });
  await one.press("p1-create-connection");
  await one.press("p1-create-channel");
  const creating = one.press("p1-create-offer");
  await joined.leave();
  await waiting.leave();
  await Promise.race([creating, world.settle()]);
  await world.settle();
  assert.equal(world.timers.pending, 0);
  assert.ok(world.webrtc.connections.every(({ signalingState }) => signalingState === "closed"));
  await assert.rejects(one.press("p1-create-offer"), { code: "wrong-step" });
});
