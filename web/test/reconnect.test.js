/**
 * Losing the server and coming back.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { retryDelay } from "../client/backoff.js";
import { createRoom, joinRoom } from "../client/index.js";
import { held, pair, unfinished } from "./fake/pair.js";
import { seeded } from "./fake/random.js";
import { collect, createWorld, fakeWindow, once } from "./fake/world.js";

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

/** Seconds until the loss is told after the server's end of every connection has gone without a word. @param {any} world @param {any} room */
async function untilOffline(world, room) {
  for (const socket of world.server.sockets) socket.send = () => {}; // into a hole
  const told = collect(room, "signaling");
  for (let seconds = 1; seconds <= 60; seconds++) {
    await world.pass(1_000);
    if (told.length > 0) return seconds;
  }
  throw new Error("not within a minute");
}

test("a server that is gone without a word is missed within 35 s; the seat is taken back on a new connection, and nothing is left", async (t) => {
  const world = createWorld(t);
  const { waiting, joined, one, two } = await pair(world);
  const took = await untilOffline(world, joined);
  assert.ok(took >= 10 && took <= 36, `${took} s`);
  await world.pass(5_000);
  assert.deepEqual([waiting.signaling, joined.signaling], ["online", "online"]);
  assert.deepEqual([waiting.peer, joined.peer], [two, one]);
  await world.pass(120_000);
  assert.deepEqual([waiting.signaling, joined.signaling], ["online", "online"], "who is answered stays");
  assert.equal(world.server.sockets.size, 2);
  await Promise.all([waiting.leave(), joined.leave()]);
  await world.settle();
  assert.equal(world.timers.pending, 0);
});

for (const occasion of ["online", "visibilitychange"]) {
  test(`${occasion} is an occasion to see whether the server is still there`, async (t) => {
    const window = fakeWindow(t);
    const world = createWorld(t);
    const room = await createRoom();
    window.dispatchEvent(new Event(occasion));
    window.dispatchEvent(new Event(occasion));
    await world.settle();
    assert.equal(world.server.of("ping").length, 1, "one question at a time");
    const missed = untilOffline(world, room);
    window.dispatchEvent(new Event(occasion));
    assert.ok((await missed) <= 11);
    await world.pass(5_000);
    assert.equal(room.signaling, "online");
  });
}

test("the network's return is a reason to try at once", async (t) => {
  const world = createWorld(t);
  const room = await createRoom();
  t.mock.method(Math, "random", () => 0.999);
  const window = fakeWindow(t);
  world.server.kill();
  await world.pass(20_000);
  world.server.mode = "up";
  window.dispatchEvent(new Event("online"));
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
