/**
 * Losing the server and coming back; losing the other side, in all the ways it can be lost.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { retryDelay } from "../client/backoff.js";
import { createRoom, joinRoom } from "../client/index.js";
import { GONE_AFTER, Liveness, SILENT_AFTER, TICK } from "../client/liveness.js";
import { crash, pair } from "./fake/pair.js";
import { seeded } from "./fake/random.js";
import { collect, createWorld, once } from "./fake/world.js";

test("an absent server is an error at once, a silent one within 10 s, both with a hint", async (t) => {
  const world = createWorld(t);
  world.server.mode = "down";
  for (const attempt of [createRoom(), joinRoom("room")]) {
    const error = await attempt.catch((thrown) => thrown);
    assert.equal(error.code, "server-unreachable");
    assert.notEqual(error.hint, "");
  }
  world.server.mode = "silent";
  const attempts = [createRoom(), joinRoom("room")].map((attempt) => attempt.catch((thrown) => thrown));
  await world.pass(10_000);
  for (const error of await Promise.all(attempts)) {
    assert.equal(error.code, "server-silent");
    assert.notEqual(error.hint, "");
  }
  assert.equal(world.timers.pending, 0);
  assert.equal(world.server.attempts, 4, "no attempt is repeated in silence");
  assert.ok(world.webrtc.connections.every(({ signalingState }) => signalingState === "closed"));
});

test("a server that falls silent behind its welcome is an error within 10 s, too", async (t) => {
  const world = createWorld(t);
  world.server.handlers.join = () => /** @type {any} */ (undefined);
  const attempt = joinRoom("room").catch((thrown) => thrown);
  await world.pass(10_100);
  assert.equal((await attempt).code, "server-silent");
  assert.equal(world.timers.pending, 0);
});

test("a server of another protocol is told from an absent one", async (t) => {
  const world = createWorld(t);
  for (const welcome of ["no JSON", "null", '{"type":"hello"}', '{"type":"welcome","protocol":2}']) {
    world.server.mode = "silent";
    const attempt = createRoom().catch((thrown) => thrown);
    await world.settle();
    const [socket] = world.server.sockets;
    socket?.dispatchEvent(Object.assign(new Event("message"), { data: welcome }));
    assert.equal((await attempt).code, "unsupported-protocol", welcome);
  }
});

test("the server is killed: both are told, chat goes on; it comes back: both are in the room within 5 s and nothing is renegotiated", async (t) => {
  const world = createWorld(t);
  const { waiting, joined, one, two } = await pair(world);
  const states = [collect(waiting, "signaling"), collect(joined, "signaling")];
  world.server.kill();
  await world.settle();
  assert.deepEqual(states.map((events) => events.map(({ state }) => state)), [["offline"], ["offline"]]);
  assert.deepEqual([waiting.signaling, joined.signaling], ["offline", "offline"]);
  const heard = collect(two, "message");
  for (let count = 0; count < 100; count++) await one.send(`line ${count}`);
  await world.pass(20_000);
  assert.equal(heard.length, 100);
  const before = world.server.heard.length;
  world.server.mode = "up";
  await world.pass(5_000);
  assert.deepEqual([waiting.signaling, joined.signaling], ["online", "online"]);
  const types = world.server.heard.slice(before).map(({ message }) => message.type);
  assert.deepEqual([...new Set(types)], ["resume"], "nothing but coming back");
  assert.deepEqual([one.states.connection, two.states.channel], ["connected", "open"]);
  assert.deepEqual([waiting.peer, joined.peer], [two, one]);
  assert.equal([...world.server.rooms.values()][0]?.seats.length, 2);
  await assert.rejects(joinRoom(waiting.link), { code: "room-full" });
  await two.send("still here");
  await joined.leave();
  await world.settle();
  assert.equal(waiting.peer, null);
  const third = await joinRoom(waiting.link);
  await world.settle();
  assert.equal(third.peer?.states.channel, "open");
});

test("the first attempt to come back is quick, later ones are spread, and none is later than the cap", () => {
  const random = seeded(7);
  const delays = Array.from({ length: 40 }, (_, attempt) => Array.from({ length: 50 }, () => retryDelay(attempt, { urgent: true, away: 600_000, random })));
  assert.ok(Math.max(...delays.slice(0, 1).flat()) <= 250);
  assert.ok(Math.max(...delays.flat()) <= 4_000);
  assert.ok(Math.max(...delays.slice(-10).flat()) > 3_000, "spread over the whole interval");
  assert.ok(Math.min(...delays.slice(-10).flat()) < 1_000, "full jitter");
  const alone = (/** @type {number} */ away) => Math.max(...Array.from({ length: 100 }, () => retryDelay(40, { urgent: false, away, random })));
  assert.ok(alone(59_000) <= 4_000, "who waits alone is as quick for a minute");
  assert.ok(alone(61_000) > 10_000, "and patient from then on");
});

test("the network's return is a reason to try at once", async (t) => {
  const world = createWorld(t);
  const room = await createRoom();
  t.mock.method(Math, "random", () => 0.999);
  const network = new EventTarget();
  const add = globalThis.addEventListener;
  Object.assign(globalThis, { addEventListener: network.addEventListener.bind(network) });
  t.after(() => Object.assign(globalThis, { addEventListener: add }));
  world.server.kill();
  await world.pass(20_000);
  world.server.mode = "up";
  network.dispatchEvent(new Event("online"));
  await world.settle(60);
  assert.equal(room.signaling, "online");
});

test("a lone room survives the server's restart under its name, and its link still works", async (t) => {
  const world = createWorld(t);
  const room = await createRoom();
  const { name } = room;
  world.server.kill();
  await world.settle();
  world.server.mode = "up";
  await world.pass(5_000);
  assert.equal(room.signaling, "online");
  assert.equal(room.name, name);
  const arrives = once(room, "peer");
  await joinRoom(room.link);
  assert.ok((await arrives).peer);
});

test("one's own connection is lost: the seat is taken back with the token, and the peer keeps its id", async (t) => {
  const world = createWorld(t);
  const { waiting, joined, one } = await pair(world);
  const { id, token } = joined;
  [...world.server.sockets].find(({ peer }) => peer === id)?.drop();
  await world.pass(5_000);
  assert.equal(joined.signaling, "online");
  assert.deepEqual([joined.id, joined.token], [id, token]);
  assert.equal(world.server.of("resume").length, 1);
  assert.equal(one.states.channel, "open");
  assert.equal(waiting.peer?.id, id);
});

/** A room whose joiner loses its connection while the handshake is under way: ICE finds nothing until `passes`. @param {any} world */
async function unfinished(world) {
  world.webrtc.passes = false;
  const { waiting, joined, one, two } = await pair(world);
  assert.equal(one.states.channel, "connecting");
  return { waiting, joined, one, two, socket: [...world.server.sockets].find(({ peer }) => peer === joined.id) };
}

test("lost in mid-handshake: what may not have arrived is sent again, and it goes on", async (t) => {
  const world = createWorld(t);
  world.webrtc.gathers = false;
  const { waiting, joined, one, two } = await pair(world);
  const socket = [...world.server.sockets].find(({ peer }) => peer === joined.id);
  socket?.drop();
  await world.settle();
  // Found while nobody listens: on both sides.
  for (const connection of world.webrtc.connections) connection.gather();
  await world.pass(5_000);
  assert.equal(joined.signaling, "online");
  assert.deepEqual([one.states.channel, two.states.channel], ["open", "open"]);
  assert.deepEqual(one.candidates.local, two.candidates.remote);
  assert.deepEqual(two.candidates.local, one.candidates.remote);
  assert.ok(one.trace.records.some(({ name }) => name === "resent"));
  assert.ok(two.trace.records.some(({ name }) => name === "resent"));
  assert.equal(waiting.peer, two);
});

test("lost in mid-handshake and not back in time: the other waits for somebody else", async (t) => {
  const world = createWorld(t);
  const { waiting, socket } = await unfinished(world);
  const left = collect(waiting, "peer-left");
  world.server.mode = "silent"; // it cannot come back
  socket?.drop();
  await world.settle();
  assert.deepEqual(left, []);
  world.server.expire(/** @type {any} */ (socket));
  await world.settle();
  assert.deepEqual(left.map(({ reason }) => reason), ["lost"]);
});

/**
 * Who holds this token is refused, for a reason that passes, until the gate is opened.
 * @param {any} world @param {string} token
 */
function held(world, token) {
  const { resume } = world.server.handlers;
  const gate = { open: false };
  world.server.handlers.resume = (/** @type {any} */ socket, /** @type {any} */ message) =>
    !gate.open && message.token === token ? { type: "error", code: "too-many-rooms", message: "later" } : resume(socket, message);
  return gate;
}

for (const second of /** @type {const} */ (["waiting", "joined"])) {
  test(`the server restarted in mid-handshake, ${second} back last: the pairing goes on`, async (t) => {
    const world = createWorld(t);
    world.webrtc.gathers = false;
    const rooms = await pair(world);
    const { waiting, joined, one, two } = rooms;
    const gate = held(world, rooms[second].token);
    world.server.kill();
    await world.settle();
    for (const connection of world.webrtc.connections) connection.gather();
    world.server.mode = "up";
    await world.pass(5_000);
    assert.deepEqual([waiting.signaling, joined.signaling].sort(), ["offline", "online"]);
    assert.deepEqual([waiting.peer, joined.peer], [two, one]);
    gate.open = true;
    await world.pass(5_000);
    assert.deepEqual([waiting.peer, joined.peer], [two, one]);
    assert.deepEqual([one.states.channel, two.states.channel], ["open", "open"]);
  });
}

test("the server restarted in mid-handshake and one never back: the other waits for somebody else after 20 s", async (t) => {
  const world = createWorld(t);
  const { waiting, joined } = await unfinished(world);
  const left = collect(waiting, "peer-left");
  held(world, joined.token);
  world.server.kill();
  await world.settle();
  world.server.mode = "up";
  await world.pass(5_000);
  assert.equal(waiting.signaling, "online");
  assert.deepEqual(left, []);
  await world.pass(20_000);
  assert.deepEqual(left.map(({ reason }) => reason), ["lost"]);
  assert.equal(waiting.peer, null);
});

test("both lose the server, the other is back first: it is not taken for away", async (t) => {
  const world = createWorld(t);
  world.webrtc.gathers = false;
  const { waiting, joined, one, two } = await pair(world);
  const sockets = new Map([...world.server.sockets].map((socket) => [socket.peer, socket]));
  const gate = held(world, waiting.token);
  sockets.get(joined.id)?.drop();
  await world.settle();
  sockets.get(waiting.id)?.drop();
  await world.settle();
  for (const connection of world.webrtc.connections) connection.gather();
  await world.pass(5_000);
  assert.deepEqual([waiting.signaling, joined.signaling], ["offline", "online"]);
  gate.open = true;
  await world.pass(5_000);
  assert.deepEqual([one.states.channel, two.states.channel], ["open", "open"]);
  assert.deepEqual(two.candidates.local, one.candidates.remote, "who was away says what it found");
});

test("back before the server noticed the loss: what went to the dead connection is sent again", async (t) => {
  const world = createWorld(t);
  world.webrtc.gathers = false;
  const { joined, one, two } = await pair(world);
  const socket = /** @type {any} */ ([...world.server.sockets].find(({ peer }) => peer === joined.id));
  socket.readyState = 3;
  socket.dispatchEvent(Object.assign(new Event("close"), { reason: "" }));
  for (const connection of world.webrtc.connections) connection.gather();
  await world.pass(5_000);
  assert.equal(joined.signaling, "online");
  assert.deepEqual([one.states.channel, two.states.channel], ["open", "open"]);
  assert.deepEqual(two.candidates.local, one.candidates.remote);
});

test("a server that welcomes and hangs up is tried no faster than one that is away, and its loss is told once", async (t) => {
  const world = createWorld(t);
  const { waiting } = await pair(world);
  const told = collect(waiting, "signaling");
  const { resume } = world.server.handlers;
  world.server.handlers.resume = (/** @type {any} */ socket) => socket.drop();
  const before = world.server.attempts;
  for (const socket of [...world.server.sockets]) socket.drop();
  await world.pass(60_000);
  const attempts = world.server.attempts - before;
  assert.ok(attempts > 20 && attempts < 120, `${attempts} attempts of two in a minute`);
  assert.deepEqual(told.map(({ state }) => state), ["offline"]);
  world.server.handlers.resume = resume;
  await world.pass(5_000);
  assert.deepEqual(told.map(({ state }) => state), ["offline", "online"]);
});

test("a refused return ends a room without a peer, and only bothers one with a live peer", async (t) => {
  const world = createWorld(t);
  const { waiting, joined, one } = await pair(world);
  world.server.handlers.resume = () => /** @type {any} */ ({ type: "error", code: "room-full", message: "full" });
  [...world.server.sockets].find(({ peer }) => peer === joined.id)?.drop();
  await world.pass(12_000);
  assert.equal(one.states.channel, "open");
  assert.equal(joined.closed, false);
  assert.ok(world.server.of("resume").length > 2, "it keeps trying");
  const closed = collect(waiting, "close");
  const errors = collect(waiting, "error");
  await joined.leave();
  await world.settle();
  [...world.server.sockets].find(({ peer }) => peer === waiting.id)?.drop();
  await world.pass(5_000);
  assert.deepEqual(closed.map(({ reason }) => reason), ["room-full"]);
  assert.deepEqual(errors.map(({ error }) => error.code), ["room-full"]);
  assert.equal(world.timers.pending, 0);
});

test("a server that is overloaded is tried again", async (t) => {
  const world = createWorld(t);
  const room = await createRoom();
  const resume = world.server.handlers.resume;
  world.server.handlers.resume = () => /** @type {any} */ ({ type: "error", code: "rate-limited", message: "slow down" });
  [...world.server.sockets][0]?.drop();
  await world.pass(3_000);
  assert.equal(room.closed, false);
  world.server.handlers.resume = resume;
  await world.pass(5_000);
  assert.equal(room.signaling, "online");
});

test("a seat taken elsewhere with its token is not fought for", async (t) => {
  const world = createWorld(t);
  const room = await createRoom();
  const closed = collect(room, "close");
  const { attempts } = world.server;
  [...world.server.sockets][0]?.drop("replaced");
  await world.pass(10_000);
  assert.deepEqual(closed.map(({ reason }) => reason), ["replaced"]);
  assert.equal(world.server.attempts, attempts);
});

test("somebody came while we were away: the pairing is begun on return", async (t) => {
  const world = createWorld(t);
  const room = await createRoom();
  const arrives = once(room, "peer");
  const socket = [...world.server.sockets][0];
  socket?.drop();
  await joinRoom(room.link);
  await world.pass(5_000);
  const { peer } = await arrives;
  assert.equal(peer.states.channel, "open");
});

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
