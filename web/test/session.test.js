/**
 * Whole sessions, two or three clients and a server in one process: who gets in, who is told what, what is left afterwards.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { createRoom, joinRoom, prepare } from "../client/index.js";
import { pair } from "./fake/pair.js";
import { fakeLocks } from "./fake/locks.js";
import { collect, createWorld, once } from "./fake/world.js";

test("a joiner connects with who waits, and they talk without the server", async (t) => {
  const world = createWorld(t);
  const { one, two } = await pair(world);
  assert.deepEqual([one.role, two.role], ["PEER1", "PEER2"]);
  assert.equal(one.session, two.session);
  assert.match(one.session, /^[\w-]{22}$/);
  assert.deepEqual([one.states.channel, two.states.connection], ["open", "connected"]);
  const heard = [collect(one, "message"), collect(two, "message")];
  const said = world.server.heard.length;
  await one.send("to the one who waited");
  await two.send("to the one who came");
  await world.settle();
  assert.deepEqual(heard.map((events) => events.map(({ data }) => data)), [["to the one who came"], ["to the one who waited"]]);
  assert.equal(world.server.heard.length, said, "nothing of it passes the server");
});

test("joining costs one trip: the offer leaves right behind the join, and there is one offer", async (t) => {
  const world = createWorld(t);
  await pair(world);
  const joiner = world.server.heard.find(({ message }) => message.type === "join")?.from;
  const types = world.server.heard.filter(({ from }) => from === joiner).map(({ message }) => message.payload?.description?.type ?? message.type);
  assert.deepEqual(types.slice(0, 2), ["join", "offer"]);
  assert.deepEqual(world.server.relayed.filter((kind) => kind === "offer" || kind === "answer"), ["offer", "answer"]);
});

test("the ICE servers are the signaling server's, the caller's if given, none if told so", async (t) => {
  const world = createWorld(t);
  const stun = [{ urls: ["stun:own.example"] }];
  for (const [options, servers] of /** @type {[object, object[]][]} */ ([[{}, world.server.iceServers], [{ iceServers: stun }, stun], [{ iceServers: [] }, []]])) {
    const { waiting, joined } = await pair(world, options);
    const [here, there] = world.webrtc.connections.slice(-2);
    assert.deepEqual([here?.configuration.iceServers, there?.configuration.iceServers], [servers, servers]);
    await Promise.all([joined.leave(), waiting.leave()]);
    await world.settle();
  }
});

test("newer ICE servers take the place of the old ones: for who waits, in a pairing, after a lost connection; not for who brought their own", async (t) => {
  const world = createWorld(t);
  const [newer, newest, last] = ["newer", "newest", "last"].map((username) => [{ urls: ["turn:own.example"], username, credential: "c" }]);
  const hand = async (/** @type {RTCIceServer[] | undefined} */ iceServers) => {
    for (const socket of world.server.sockets) socket.say({ type: "ice-servers", iceServers });
    await world.settle();
  };
  const servers = () => world.webrtc.connections.filter(({ signalingState }) => signalingState !== "closed").map(({ configuration }) => configuration.iceServers);
  const waiting = await createRoom();
  await hand(newer);
  assert.deepEqual(servers(), [newer], "the connection in reserve is made anew");
  const joined = await joinRoom(waiting.link);
  await world.settle();
  await hand(newest);
  assert.deepEqual(servers(), [newest, newest]);
  world.server.iceServers = /** @type {RTCIceServer[]} */ (last);
  world.server.kill();
  await world.settle();
  world.server.mode = "up";
  await world.pass(5_000);
  assert.deepEqual(servers(), [last, last]);
  await Promise.all([joined.leave(), waiting.leave()]);
  await world.settle();
  const own = await createRoom({ iceServers: [] });
  await hand(newer);
  assert.deepEqual(servers(), [[]]);
  await own.leave();
});

test("every candidate found is sent, and the end of them", async (t) => {
  const world = createWorld(t);
  const { one, two } = await pair(world);
  for (const [here, there] of [[one, two], [two, one]]) {
    assert.equal(here?.candidates.local.length, 2);
    assert.deepEqual(here?.candidates.local, there?.candidates.remote);
    assert.deepEqual(here?.candidates.buffered, []);
  }
  for (const { added } of world.webrtc.connections) assert.equal(added.filter(({ candidate }) => candidate === "").length, 1);
});

test("who leaves says goodbye; the other hears it at once, waits, and talks with a third without anything left of the first", async (t) => {
  const world = createWorld(t);
  const { waiting, joined, one, two } = await pair(world);
  const left = collect(waiting, "peer-left");
  const closed = collect(two, "close");
  await joined.leave();
  await world.settle();
  assert.deepEqual(left.map(({ reason }) => reason), ["goodbye"]);
  assert.deepEqual(closed.map(({ reason }) => reason), ["goodbye"]);
  assert.equal(waiting.peer, null);
  assert.equal(waiting.closed, false);
  assert.deepEqual([one.states.connection, two.states.connection], ["closed", "closed"]);

  const arrives = once(waiting, "peer");
  const third = await joinRoom(waiting.link);
  const { peer } = await arrives;
  const heard = collect(peer, "message");
  const stale = collect(two, "message");
  await world.settle();
  await third.peer?.send("hello from a third");
  await world.settle();
  assert.deepEqual(heard.map(({ data }) => data), ["hello from a third"]);
  assert.deepEqual(stale, []);
  assert.notEqual(peer.session, two.session);
});

test("who waited leaves; the joiner keeps the room, and is the one who answers next", async (t) => {
  const world = createWorld(t);
  const { waiting, joined } = await pair(world);
  await waiting.leave();
  await world.settle();
  assert.equal(joined.closed, false);
  const arrives = once(joined, "peer");
  const third = await joinRoom(joined.link);
  const { peer } = await arrives;
  await world.settle();
  assert.equal(peer.role, "PEER2");
  assert.equal(third.peer?.states.channel, "open");
});

test("closing leaves nothing: no timer, no connection, no socket, no peer; and twice does no harm", async (t) => {
  const world = createWorld(t);
  const { waiting, joined, one, two } = await pair(world);
  await Promise.all([joined.leave(), joined.leave()]);
  await joined.leave();
  await world.settle();
  await waiting.leave();
  await waiting.leave();
  await world.settle();
  assert.equal(world.timers.pending, 0);
  assert.deepEqual([...world.server.sockets], []);
  assert.deepEqual(world.webrtc.connections.map(({ signalingState }) => signalingState), world.webrtc.connections.map(() => "closed"));
  assert.deepEqual([one.localDescription, two.remoteDescription, waiting.peer, joined.peer], [null, null, null, null]);
  assert.equal(world.server.of("leave").length, 2);
  assert.equal(world.server.rooms.size, 0);
  await assert.rejects(one.send("x"), { code: "closed" });
});

test("leaving is done when leave() returns, before anything is awaited: a page that is going away has no later", async (t) => {
  const world = createWorld(t);
  const { joined, one } = await pair(world);
  const connection = world.webrtc.connections.find(({ channels }) => channels[0]?.remote === false);
  const socket = [...world.server.sockets].find(({ peer }) => peer === joined.id);
  const frames = connection?.channels[0]?.sent.length ?? 0;
  void joined.leave();
  assert.equal(connection?.signalingState, "closed");
  assert.equal(connection?.channels[0]?.sent.length, frames + 1, "the goodbye");
  assert.equal(one.states.channel, "closed");
  assert.equal(socket?.readyState, 2, "closing");
  await world.settle();
  assert.equal(world.server.of("leave").length, 1);
});

test("put out by the server and leaving as well: the end is told once", async (t) => {
  const world = createWorld(t);
  const { waiting, joined } = await pair(world);
  const closed = collect(joined, "close");
  const socket = [...world.server.sockets].find(({ peer }) => peer === joined.id);
  socket?.say({ type: "left", room: waiting.name, reason: "rejected", detail: "other" });
  await world.settle();
  await joined.leave();
  socket?.say({ type: "left", room: waiting.name, reason: "leave" });
  await world.settle();
  assert.deepEqual(closed.map(({ reason }) => reason), ["other"]);
});

test("who was given up and comes back to the old pairing is told that it is over", async (t) => {
  const world = createWorld(t);
  const { waiting, one } = await pair(world);
  world.webrtc.passes = false;
  await world.pass(16_000);
  assert.equal(waiting.peer, null);
  const socket = [...world.server.sockets].find(({ peer }) => peer === waiting.id);
  const rejects = world.server.of("reject").length;
  socket?.say({ type: "peer-joined", peer: "p", session: one.session });
  await world.settle();
  assert.equal(waiting.peer, null);
  assert.deepEqual(world.server.of("reject").slice(rejects).map(({ session, reason }) => [session, reason]), [[one.session, "other"]]);
});

test("what is still being sent when leaving is given its time, but not more than a second", async (t) => {
  const world = createWorld(t);
  const { joined, one, two } = await pair(world);
  const channel = /** @type {any} */ (world.webrtc.connections.flatMap(({ channels }) => channels).find(({ remote }) => !remote));
  channel.stuck = true;
  const heard = collect(two, "message");
  const sent = one.send("the last word");
  const leaving = Promise.all([joined.leave(), joined.leave()]);
  await world.settle();
  assert.equal(joined.closed, false);
  const goodbyes = channel.sent.filter((/** @type {ArrayBuffer} */ data) => new Uint8Array(data)[0] === 10);
  assert.equal(goodbyes.length, 1);
  channel.stuck = false;
  channel.drain();
  await world.pass(100);
  await Promise.all([leaving, sent]);
  assert.deepEqual(heard.map(({ data }) => data), ["the last word"]);
  assert.equal(joined.closed, true);

  const again = await pair(world);
  const stuck = /** @type {any} */ (world.webrtc.connections.at(-2)?.channels[0] ?? world.webrtc.connections.at(-1)?.channels[0]);
  for (const { channels } of world.webrtc.connections) for (const each of channels) each.stuck = true;
  assert.ok(stuck);
  await again.one.send("never leaves");
  const gone = again.joined.leave();
  await world.pass(1_100);
  await gone;
  assert.equal(again.joined.closed, true);
});

test("a goodbye does not overtake what was said before it; a file is not waited for", async (t) => {
  const world = createWorld(t);
  const { joined, one, two } = await pair(world);
  const channel = /** @type {any} */ (world.webrtc.connections.flatMap(({ channels }) => channels).find(({ remote }) => !remote));
  const heard = collect(two, "message");
  channel.stuck = true;
  const file = one.send(new Blob([new Uint8Array(4 << 20)])).catch((error) => error);
  await world.settle();
  const bytes = one.send(new Uint8Array(1 << 20));
  const sent = one.send("bye");
  const leaving = joined.leave();
  await world.settle();
  channel.stuck = false;
  channel.drain();
  await world.pass(200);
  await Promise.all([leaving, bytes, sent]);
  assert.equal((await file).code, "closed");
  assert.deepEqual(heard.map(({ data }) => data?.byteLength ?? data), [1 << 20, "bye"]);
  assert.equal(joined.closed, true);
});

test("a third person is turned away by the server when the room is full", async (t) => {
  const world = createWorld(t);
  const { waiting } = await pair(world);
  await assert.rejects(joinRoom(waiting.link), { code: "room-full", name: "CrowflyError" });
  await world.settle();
  assert.equal(waiting.peer?.states.channel, "open");
});

test("a third person is turned away as busy when the server has forgotten who is talking", async (t) => {
  const world = createWorld(t);
  const { waiting, joined, two } = await pair(world);
  const socket = [...world.server.sockets].find(({ peer }) => peer === joined.id);
  world.server.expire(/** @type {any} */ (socket));
  await world.settle();
  assert.equal(two.states.channel, "open", "the server's loss is not ours");
  const third = await joinRoom(waiting.link);
  const reasons = collect(third, "close");
  await world.settle();
  assert.deepEqual(reasons.map(({ reason }) => reason), ["busy"]);
  assert.equal(waiting.peer, two);
  assert.equal(two.states.channel, "open");
});

test("who joins and says nothing is turned away after 15 s, and the next may come", async (t) => {
  const world = createWorld(t);
  const waiting = await createRoom();
  const left = collect(waiting, "peer-left");
  const mute = new world.server.WebSocket("ws://crowfly.example/ws");
  await world.settle();
  mute.send(JSON.stringify({ type: "join", id: 1, room: waiting.name, session: "AAAAAAAAAAAAAAAAAAAAAA" }));
  await world.pass(14_900);
  assert.deepEqual(left, []);
  await world.pass(200);
  assert.deepEqual(left.map(({ reason }) => reason), ["no-offer"]);
  assert.deepEqual(world.server.of("reject").map(({ reason }) => reason), ["no-offer"]);
  const third = await joinRoom(waiting.link);
  await world.settle();
  assert.equal(third.peer?.states.channel, "open");
});

test("an offer that is never answered is said after 15 s", async (t) => {
  const world = createWorld(t);
  const deaf = new world.server.WebSocket("ws://crowfly.example/ws");
  await world.settle();
  deaf.send(JSON.stringify({ type: "create", room: "deaf" }));
  await world.settle();
  const room = await joinRoom("deaf");
  const errors = collect(/** @type {any} */ (room.peer), "error");
  await world.pass(15_100);
  assert.deepEqual(errors.map(({ error }) => error.code), ["no-answer"]);
});

test("messages of an old session are dropped, with a note", async (t) => {
  const world = createWorld(t);
  const { waiting, two } = await pair(world);
  const socket = [...world.server.sockets].find(({ peer }) => peer === waiting.id);
  const session = "BBBBBBBBBBBBBBBBBBBBBB";
  socket?.say({ type: "signal", from: "x", session, payload: { kind: "goodbye" } });
  socket?.say({ type: "peer-left", peer: "x", session, reason: "leave" });
  await world.settle();
  assert.equal(two.states.channel, "open");
  assert.ok(two.trace.records.some(({ name, detail }) => name === "stale-signal" && detail?.session === session));
});

test("a payload nobody knows is answered with a problem, and a problem with nothing", async (t) => {
  const world = createWorld(t);
  const { waiting, two } = await pair(world);
  const socket = [...world.server.sockets].find(({ peer }) => peer === waiting.id);
  /** @type {[unknown, string | null][]} */
  const cases = [
    [{ kind: "weather" }, "unknown-kind"],
    [{ kind: 7 }, "malformed-payload"],
    [null, "malformed-payload"],
    [[], "malformed-payload"],
    ["text", "malformed-payload"],
    [{ kind: "description" }, "malformed-payload"],
    [{ kind: "description", description: { type: "rollback", sdp: "" } }, "malformed-payload"],
    [{ kind: "description", description: { type: "offer", sdp: 1 } }, "malformed-payload"],
    [{ kind: "description", description: { type: "offer", sdp: "x".repeat(60_001) } }, "malformed-payload"],
    [{ kind: "candidate", candidate: null }, "malformed-payload"],
    [{ kind: "candidate", candidate: { candidate: "x".repeat(1_025) } }, "malformed-payload"],
    [{ kind: "candidate", candidate: { candidate: "x", sdpMLineIndex: "0" } }, "malformed-payload"],
    [{ kind: "candidates", candidates: "x" }, "malformed-payload"],
    [{ kind: "candidates", candidates: Array(129).fill({ candidate: "x" }) }, "malformed-payload"],
    [{ kind: "candidate", candidate: { candidate: "x", usernameFragment: "not theirs" } }, "rejected-candidate"],
    [{ kind: "problem", code: "unknown-kind" }, null],
    [{ kind: "problem" }, null],
  ];
  for (const [payload, code] of cases) {
    const before = world.server.of("signal").length;
    socket?.say({ type: "signal", from: "x", session: two.session, payload });
    await world.settle();
    const answers = world.server.of("signal").slice(before);
    assert.deepEqual(answers.map(({ payload: answer }) => answer.code), code === null ? [] : [code], JSON.stringify(payload));
  }
  assert.equal(two.states.channel, "open");
});

test("a message full of nonsense is not answered by as many messages", async (t) => {
  const world = createWorld(t);
  const { waiting, two } = await pair(world);
  const socket = [...world.server.sockets].find(({ peer }) => peer === waiting.id);
  const before = world.server.of("signal").length;
  const nonsense = (/** @type {number} */ number) => ({ candidate: `x${number}`, usernameFragment: "not theirs" });
  const candidates = Array.from({ length: 128 }, (_, number) => nonsense(number));
  socket?.say({ type: "signal", from: "x", session: two.session, payload: { kind: "candidates", candidates } });
  await world.settle();
  assert.equal(world.server.of("signal").length - before, 100);
});

test("goodbye by way of the server ends it as well", async (t) => {
  const world = createWorld(t);
  const { waiting, two } = await pair(world);
  const socket = [...world.server.sockets].find(({ peer }) => peer === waiting.id);
  const left = collect(waiting, "peer-left");
  socket?.say({ type: "signal", from: "x", session: two.session, payload: { kind: "goodbye" } });
  await world.settle();
  assert.deepEqual(left.map(({ reason }) => reason), ["goodbye"]);
});

test("too many candidates are refused, and what is kept is bounded", async (t) => {
  const world = createWorld(t);
  const { waiting, two } = await pair(world);
  const socket = [...world.server.sockets].find(({ peer }) => peer === waiting.id);
  for (let batch = 0; batch < 10; batch++) {
    const candidates = Array.from({ length: 100 }, (_, at) => ({ candidate: `candidate:${batch}-${at}` }));
    socket?.say({ type: "signal", from: "x", session: two.session, payload: { kind: "candidates", candidates } });
  }
  await world.settle();
  assert.ok(two.candidates.remote.length <= 256, String(two.candidates.remote.length));
});

test("prepare() does ahead what a join begins with, once; the join takes it over", async (t) => {
  const world = createWorld(t);
  const waiting = await createRoom();
  const { attempts } = world.server;
  prepare();
  prepare();
  await world.settle();
  assert.equal(world.server.attempts, attempts + 1);
  const made = world.webrtc.connections.length;
  const room = await joinRoom(waiting.link);
  await world.settle();
  assert.equal(room.peer?.states.channel, "open");
  assert.equal(world.server.attempts, attempts + 1, "the same socket");
  assert.equal(world.webrtc.connections.length, made, "the same connection, and the spare of who waited");
});

test("what was prepared and not wanted is closed after 8 s, or when something else is wanted", async (t) => {
  const world = createWorld(t);
  prepare();
  await world.pass(8_100);
  assert.equal(world.timers.pending, 0);
  assert.equal(world.server.sockets.size, 0);
  assert.ok(world.webrtc.connections.every(({ signalingState }) => signalingState === "closed"));

  const waiting = await createRoom();
  prepare({ label: "other" });
  await world.settle();
  const room = await joinRoom(waiting.link);
  await world.settle();
  assert.equal(world.server.sockets.size, 2);
  assert.equal(world.webrtc.connections.find(({ signalingState }) => signalingState === "stable")?.channels[0]?.label, "crowfly");
  await Promise.all([room.leave(), waiting.leave()]);
  await world.settle();

  prepare();
  await world.settle();
  const made = await createRoom();
  assert.equal(made.peer, null, "who makes a room waits, though a joiner was prepared");
  await made.leave();
  await world.settle();
  assert.equal(world.timers.pending, 0);
});

test("preparing with the server away costs nothing and says nothing; the join then tells", async (t) => {
  const world = createWorld(t);
  world.server.mode = "down";
  prepare();
  await world.settle();
  await assert.rejects(joinRoom("room"), { code: "server-unreachable" });
  assert.equal(world.timers.pending, 0);
});

test("a token takes one's seat back: the other is told, and a new pairing begins", async (t) => {
  const world = createWorld(t);
  const { waiting, joined, two } = await pair(world);
  const left = collect(waiting, "peer-left");
  const arrives = once(waiting, "peer");
  const again = await joinRoom(waiting.link, { token: joined.token });
  await arrives;
  await world.pass(600);
  assert.equal(again.peer?.states.channel, "open");
  assert.deepEqual(left.map(({ reason }) => reason), ["replaced"]);
  assert.equal(two.states.connection, "closed");
});

test("a duplicated tab does not take the seat of the one it was made from, nor use its token; when that is gone, it may", async (t) => {
  const world = createWorld(t);
  fakeLocks(t);
  const { waiting, joined, one, two } = await pair(world);
  for (const { name, token } of [joined, waiting]) {
    const refused = joinRoom(name, { token }).catch((error) => error);
    await world.pass(1_000);
    assert.equal((await refused).code, "room-full");
  }
  assert.deepEqual([one.states.channel, two.states.channel, joined.closed, waiting.closed], ["open", "open", false, false]);
  assert.deepEqual(world.server.of("join").map(({ token }) => token), [undefined, undefined, undefined]);

  const { name, token } = joined;
  void joined.leave();
  const again = joinRoom(name, { token });
  await world.settle();
  assert.equal((await again).peer?.states.channel, "open");
  assert.equal(world.server.of("join").at(-1)?.token, token);
  await Promise.all([(await again).leave(), waiting.leave()]);
  await world.settle();
  assert.equal(world.timers.pending, 0);
});

test("a token makes a room anew that has ended, and its holder waits", async (t) => {
  const world = createWorld(t);
  const room = await createRoom();
  const { token, name } = room;
  await room.leave();
  await world.settle();
  const again = await joinRoom(name, { token });
  assert.equal(again.peer, null);
  assert.equal(again.name, name);
  const arrives = once(again, "peer");
  const other = await joinRoom(again.link);
  await arrives;
  await world.settle();
  assert.equal(other.peer?.states.channel, "open");
});

test("both reload at once: the room is made anew by one, and the other joins it", async (t) => {
  const world = createWorld(t);
  const { waiting, joined } = await pair(world);
  const seats = [waiting, joined].map(({ name, token }) => ({ name, token }));
  await Promise.all([waiting.leave(), joined.leave()]);
  await world.settle();
  assert.equal(world.server.rooms.size, 0);
  const [one, two] = await Promise.all(seats.map(({ name, token }) => joinRoom(name, { token })));
  await world.settle();
  assert.deepEqual([one?.peer?.role, two?.peer?.role].sort(), ["PEER1", "PEER2"]);
  assert.deepEqual([one?.peer?.states.channel, two?.peer?.states.channel], ["open", "open"]);
});

test("options that cannot be had are refused clearly", async (t) => {
  const world = createWorld(t);
  await assert.rejects(joinRoom("", {}), { code: "invalid-room-name" });
  await assert.rejects(joinRoom("a/b"), { code: "invalid-room-name" });
  await assert.rejects(createRoom({ server: "ftp://x" }), { code: "invalid-address" });
  await createRoom({ name: "taken" });
  await assert.rejects(createRoom({ name: "taken" }), { code: "room-taken" });
  delete (/** @type {any} */ (globalThis).RTCPeerConnection);
  await assert.rejects(joinRoom("taken"), { code: "unsupported" });
  await world.settle();
});

test("an aborted attempt rejects with the reason; aborting later leaves", async (t) => {
  const world = createWorld(t);
  world.server.mode = "silent";
  const attempt = new AbortController();
  const joining = joinRoom("room", { signal: attempt.signal });
  attempt.abort(new Error("changed my mind"));
  await assert.rejects(joining, /changed my mind/);
  await assert.rejects(createRoom({ signal: AbortSignal.abort() }), { name: "AbortError" });
  world.server.mode = "up";
  const stay = new AbortController();
  const room = await createRoom({ signal: stay.signal });
  stay.abort();
  await world.settle();
  assert.equal(room.closed, true);
  assert.equal(world.server.sockets.size, 0);
  assert.equal(world.timers.pending, 0);
});
