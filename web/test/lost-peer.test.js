/**
 * Losing the other side, in all the ways it can be lost.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { joinRoom } from "../client/index.js";
import { GONE_AFTER, Liveness, SILENT_AFTER, TICK } from "../client/liveness.js";
import { crash, held, pair, unfinished } from "./fake/pair.js";
import { collect, createWorld } from "./fake/world.js";

test("pings: one a second, answered at once by the other, giving a round trip", async (t) => {
  const world = createWorld(t);
  const { one } = await pair(world);
  const [channel] = world.webrtc.connections.flatMap(({ channels }) => channels).filter(({ remote }) => !remote);
  const count = (/** @type {number} */ kind) => channel?.sent.filter((data) => new Uint8Array(/** @type {ArrayBuffer} */ (data))[0] === kind).length ?? 0;
  const before = [count(8), count(9)];
  await world.pass(10_000);
  assert.deepEqual([count(8) - /** @type {number} */ (before[0]), count(9) - /** @type {number} */ (before[1])], [10, 10]);
  assert.equal((await one.stats()).roundTrip, 0);
});

test("nothing heard for 3.5 s is silence; anything heard ends it; 15 s end the pairing", async (t) => {
  const world = createWorld(t);
  const { one, two, waiting } = await pair(world);
  const states = collect(two, "state");
  const left = collect(waiting, "peer-left");
  world.webrtc.passes = false;
  await world.pass(SILENT_AFTER - 1_100);
  assert.equal(two.states.liveness, "alive");
  await world.pass(1_600);
  assert.equal(two.states.liveness, "silent");
  assert.equal(states.at(-1)?.states.liveness, "silent");
  world.webrtc.passes = true;
  await world.pass(1_500);
  assert.deepEqual([one.states.liveness, two.states.liveness], ["alive", "alive"]);
  assert.deepEqual(left, []);
  world.webrtc.passes = false;
  await world.pass(GONE_AFTER - 1_100);
  assert.deepEqual(left, []);
  await world.pass(1_600);
  assert.deepEqual(left.map(({ reason }) => reason), ["vanished"]);
});

test("a crashed tab is noticed within 5 s, by silence and the server's word; its seat is freed for the next", async (t) => {
  const world = createWorld(t);
  const { waiting, joined } = await pair(world);
  const left = collect(waiting, "peer-left");
  crash(world, joined);
  await world.pass(1_000);
  assert.deepEqual(left, [], "a lost connection to the server alone ends nothing");
  await world.pass(4_000);
  assert.deepEqual(left.map(({ reason }) => reason), ["vanished"]);
  assert.deepEqual(world.server.of("reject").map(({ reason }) => reason), ["other"]);
  assert.equal(waiting.closed, false);
  world.webrtc.passes = true;
  const third = await joinRoom(waiting.link);
  await world.settle();
  assert.equal(third.peer?.states.channel, "open");
});

test("a goodbye of who cannot reach the server, before or after that is known: its seat is freed for the next", async (t) => {
  const world = createWorld(t);
  for (const known of [true, false]) {
    const { waiting, joined } = await pair(world);
    const socket = [...world.server.sockets].find(({ peer }) => peer === joined.id);
    held(world, joined.token);
    const leave = world.server.handlers.leave;
    world.server.handlers.leave = () => /** @type {any} */ (undefined); // lost on the way
    if (known) socket?.drop();
    await world.settle();
    void joined.leave();
    await world.settle();
    if (!known) socket?.drop();
    await world.settle();
    world.server.handlers.leave = leave;
    assert.equal(waiting.peer, null);
    const third = await joinRoom(waiting.link);
    await world.settle();
    assert.equal(third.peer?.states.channel, "open", String(known));
    await Promise.all([third.leave(), waiting.leave()]);
    await world.settle();
  }
});

test("a crashed tab with the server gone as well: silent within 5 s, gone after 15", async (t) => {
  const world = createWorld(t);
  const { waiting, joined, two } = await pair(world);
  const left = collect(waiting, "peer-left");
  crash(world, joined);
  world.server.kill();
  await world.pass(5_000);
  assert.equal(two.states.liveness, "silent");
  assert.deepEqual(left, []);
  await world.pass(11_000);
  assert.deepEqual(left.map(({ reason }) => reason), ["vanished"]);
  assert.equal(waiting.closed, false, "the room waits");
  world.server.mode = "up";
  await world.pass(5_000);
  assert.equal(waiting.signaling, "online");
});

test("the other's lost connection, and the loss of its seat, do not end a live chat; its return finds the pairing as it was", async (t) => {
  const world = createWorld(t);
  const { waiting, joined, one, two } = await pair(world);
  const left = collect(waiting, "peer-left");
  const socket = [...world.server.sockets].find(({ peer }) => peer === joined.id);
  world.server.handlers.resume = ((resume) => {
    let refusals = 3;
    return (/** @type {any} */ socket, /** @type {any} */ message) => (refusals-- > 0 ? /** @type {any} */ ({ type: "error", code: "rate-limited" }) : resume(socket, message));
  })(world.server.handlers.resume);
  socket?.drop();
  world.server.expire(/** @type {any} */ (socket));
  await world.pass(500);
  assert.deepEqual(left, []);
  await one.send("still here");
  const signals = world.server.of("signal").length;
  await world.pass(12_000);
  assert.equal(joined.signaling, "online");
  assert.equal(world.server.of("signal").length, signals, "nothing is renegotiated");
  assert.deepEqual([waiting.peer, joined.peer, left.length], [two, one, 0]);
  assert.equal(two.id, joined.id, "under the id of its new seat");
});

test("the other leaves the server by its own wish: the goodbye in the channel is waited for, but not long", async (t) => {
  const world = createWorld(t);
  const { waiting, joined } = await pair(world);
  const left = collect(waiting, "peer-left");
  const socket = [...world.server.sockets].find(({ peer }) => peer === waiting.id);
  socket?.say({ type: "peer-left", peer: joined.id, session: joined.peer?.session, reason: "leave" });
  await world.settle();
  assert.deepEqual(left, []);
  await world.pass(600);
  assert.deepEqual(left.map(({ reason }) => reason), ["leave"]);
});

test("the channel ends without a goodbye: vanished, once the server has had a second to say why; at once without the server", async (t) => {
  const world = createWorld(t);
  for (const server of [true, false]) {
    const { waiting, joined } = await pair(world);
    const left = collect(waiting, "peer-left");
    if (!server) world.server.kill();
    world.webrtc.connections.findLast(({ channels }) => channels[0]?.remote === false)?.close();
    if (server) {
      await world.settle();
      assert.deepEqual(left, []);
      await world.pass(1_100);
    }
    await world.settle();
    assert.deepEqual(left.map(({ reason }) => reason), ["vanished"]);
    await Promise.all([waiting.leave(), joined.leave()]);
    await world.settle();
  }
});

test("the channel ends, and the server says who took the seat: that is the reason, and the next one is let in at once", async (t) => {
  const world = createWorld(t);
  const { waiting, joined } = await pair(world);
  const left = collect(waiting, "peer-left");
  world.webrtc.connections.find(({ channels }) => channels[0]?.remote === false)?.close();
  await world.settle();
  const again = await joinRoom(waiting.link, { token: joined.token });
  await world.settle();
  assert.deepEqual(left.map(({ reason }) => reason), ["replaced"]);
  assert.equal(again.peer?.states.channel, "open");
});

test("the connection fails: with the server's help a new path is sought, without it the other is gone", async (t) => {
  const world = createWorld(t);
  const { waiting, one, two } = await pair(world);
  const left = collect(waiting, "peer-left");
  const [first, second] = world.webrtc.connections;
  const received = [one, two].map((peer) => peer.candidates.remote.length);
  first?.become("failed");
  await world.pass(300);
  assert.deepEqual(left, []);
  assert.equal(world.server.relayed.filter((kind) => kind === "offer").length, 2);
  assert.equal(world.server.relayed.filter((kind) => kind === "answer").length, 2);
  assert.equal(first?.connectionState, "connected", "over the new credentials");
  assert.ok([one, two].every((peer, at) => peer.candidates.remote.length > /** @type {number} */ (received[at])));
  assert.equal(world.server.relayed.filter((kind) => kind === "problem").length, 0);
  world.server.kill();
  await world.settle();
  second?.become("failed");
  await world.settle();
  first?.become("failed");
  await world.settle();
  assert.deepEqual(left.map(({ reason }) => reason), ["vanished"]);
});

test("both seek a new path at once: PEER2 gives way, one offer stands, they are connected again", async (t) => {
  const world = createWorld(t);
  const { one, two } = await pair(world);
  for (const connection of world.webrtc.connections) connection.become("failed");
  await world.pass(500);
  assert.deepEqual(world.webrtc.connections.map(({ signalingState }) => signalingState), ["stable", "stable"]);
  assert.deepEqual([one.states.connection, two.states.connection], ["connected", "connected"]);
  assert.deepEqual([one.states.channel, two.states.channel], ["open", "open"]);
});

test("the path is gone while the server is there: PEER2 says that it hears nothing, PEER1 seeks another path, again if need be", async (t) => {
  const world = createWorld(t);
  const { one, two } = await pair(world);
  const offers = () => world.server.relayed.filter((kind) => kind === "offer").length;
  world.webrtc.passes = false;
  await world.pass(6_900);
  assert.equal(offers(), 1, "ICE may find back by itself");
  await world.pass(1_000);
  assert.deepEqual([offers(), world.server.relayed.filter((kind) => kind === "silent").length], [2, 1]);
  assert.equal(world.webrtc.connections.filter(({ signalingState }) => signalingState === "stable").length, 2);
  world.webrtc.passes = true;
  await world.pass(4_500);
  assert.deepEqual([one.states.liveness, two.states.liveness], ["alive", "alive"]);
  assert.equal(offers(), 2);
});

test("a word of silence is no reason for anything when something is heard", async (t) => {
  const world = createWorld(t);
  const { joined, one } = await pair(world);
  const socket = [...world.server.sockets].find(({ peer }) => peer === joined.id);
  socket?.say({ type: "signal", from: "x", session: one.session, payload: { kind: "silent" } });
  await world.settle();
  assert.equal(world.server.relayed.filter((kind) => kind === "offer").length, 1);
});

test("an offer of a new path that was lost with the server is made again, not another", async (t) => {
  const world = createWorld(t);
  const { joined, one, two } = await pair(world);
  const signal = world.server.handlers.signal;
  world.server.handlers.signal = () => undefined; // swallowed
  world.webrtc.passes = false;
  await world.pass(4_000);
  const socket = [...world.server.sockets].find(({ peer }) => peer === joined.id);
  socket?.say({ type: "signal", from: "x", session: one.session, payload: { kind: "silent" } });
  await world.settle();
  assert.equal(world.webrtc.connections.filter(({ signalingState }) => signalingState === "have-local-offer").length, 1);
  world.server.handlers.signal = signal;
  await world.pass(4_000); // until PEER2 says it
  world.webrtc.passes = true;
  await world.pass(2_000);
  assert.deepEqual([one.states.liveness, two.states.liveness], ["alive", "alive"]);
  assert.deepEqual(world.webrtc.connections.map(({ signalingState }) => signalingState), ["stable", "stable"]);
});

test("never connected: the joiner is told and is out, who waited waits for the next", async (t) => {
  const world = createWorld(t);
  const { waiting, joined, one } = await unfinished(world);
  const errors = collect(one, "error");
  const closed = collect(joined, "close");
  const left = collect(waiting, "peer-left");
  for (const connection of world.webrtc.connections) connection.become("failed");
  await world.settle();
  assert.deepEqual(errors.map(({ error }) => error.code), ["connection-failed"]);
  assert.deepEqual(closed.map(({ reason }) => reason), ["failed"]);
  assert.deepEqual(left.map(({ reason }) => reason), ["failed"]);
  assert.equal(waiting.closed, false);
});

test("a page that slept does not blame the other for it", () => {
  const liveness = new Liveness(0);
  for (let now = 0; now <= 2_000; now += TICK) liveness.tick(now);
  liveness.heard();
  liveness.tick(600_000);
  assert.equal(liveness.verdict, "alive");
  for (let now = 600_500; now <= 603_000; now += TICK) liveness.tick(now);
  assert.equal(liveness.verdict, "silent");
});

test("ticks once a second, as background tabs get them, notice silence within 5 s and ping as often", () => {
  const liveness = new Liveness(0);
  let pings = 0;
  let noticed = Infinity;
  for (let now = 1_000; now <= 8_000; now += 1_000) {
    if (liveness.tick(now) !== null) pings += 1;
    if (liveness.verdict === "silent") noticed = Math.min(noticed, now);
  }
  assert.equal(pings, 8);
  assert.ok(noticed <= 5_000, String(noticed));
});
