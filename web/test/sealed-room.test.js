/**
 * Sealed rooms over a server that relays, reads along, and lies.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { createRoom, joinRoom, parseRoom, prepare } from "../client/index.js";
import { collect, createWorld, once } from "./fake/world.js";

/** @typedef {import("../client/types.d.ts").Room} Room */

/** @param {import("node:test").TestContext} t */
async function sealedWorld(t) {
  const world = createWorld(t, { https: true });
  const waiting = await createRoom();
  return { world, waiting };
}

/** Until cryptography, which waits for nobody's turn, has done what there is to do. @param {() => unknown} done */
async function until(done) {
  const deadline = process.hrtime.bigint() + 10_000_000_000n;
  while (!done()) {
    assert.ok(process.hrtime.bigint() < deadline, "it does not come");
    await new Promise(setImmediate);
  }
}

/** @param {Room} one @param {Room} two */
const open = (one, two) => until(() => one.peer?.states.channel === "open" && two.peer?.states.channel === "open");

test("by link and by code two find each other, and the server has read nothing", async (t) => {
  const { world, waiting } = await sealedWorld(t);
  assert.equal(waiting.open, false);
  const { key } = parseRoom(waiting.link);
  for (const place of [waiting.link, /** @type {string} */ (waiting.code).toUpperCase().replaceAll("-", " ")]) {
    const joined = await joinRoom(place);
    assert.equal(joined.link, waiting.link);
    assert.equal(joined.code, place === waiting.link ? null : waiting.code);
    await open(waiting, joined);
    assert.deepEqual([waiting.peer?.verified, joined.peer?.verified], ["code", "code"]);
    const said = once(/** @type {any} */ (waiting.peer), "message");
    await joined.peer?.send("caw");
    assert.equal((await said).data, "caw");
    const parted = once(waiting, "peer-left");
    await joined.leave();
    await parted;
  }
  const heard = JSON.stringify(world.server.heard);
  const secrets = ["v=0", "fingerprint", "candidate:", key, .../** @type {string} */ (waiting.code).split("-").slice(3)];
  for (const secret of secrets) assert.ok(!heard.includes(String(secret)), secret ?? "");
  assert.ok(world.server.of("signal").length >= 4);
  for (const { payload } of world.server.of("signal")) assert.equal(payload.kind, "sealed");
});

test("who prepared joins sealed, too", async (t) => {
  const { world, waiting } = await sealedWorld(t);
  prepare();
  await world.settle();
  const joined = await joinRoom(waiting.link);
  await open(waiting, joined);
  assert.equal(joined.peer?.verified, "code");
});

test("step by step the payloads are sealed all the same", async (t) => {
  const world = createWorld(t, { https: true });
  const waiting = await createRoom({ steps: true });
  const joined = await joinRoom(waiting.link, { steps: true });
  await until(() => waiting.peer);
  const all = () => [joined.peer, waiting.peer].flatMap((peer) => peer?.steps.filter(({ state }) => state === "ready").map(({ id }) => peer.press(id)) ?? []);
  await until(() => (all(), joined.peer?.states.channel === "open" && waiting.peer?.states.channel === "open"));
  assert.equal(joined.peer?.verified, "code");
  for (const { payload } of world.server.of("signal")) assert.equal(payload.kind, "sealed");
});

test("an open room stays as it is, and is not verified", async (t) => {
  const world = createWorld(t, { https: true });
  const waiting = await createRoom({ name: "kitchen" });
  const joined = await joinRoom(waiting.link);
  await open(waiting, joined);
  assert.deepEqual([waiting.open, waiting.code, joined.peer?.verified, waiting.peer?.verified], [true, "kitchen", null, null]);
  assert.ok(world.server.relayed.includes("offer"));
});

test("what is asked for must be possible", async (t) => {
  createWorld(t, { https: true });
  await assert.rejects(createRoom({ name: "kitchen", open: false }), { code: "invalid-room-name" });
  await assert.rejects(createRoom({ name: "k7fq-9xqm-2p4t-x" }), { code: "invalid-room-name" });
  await assert.rejects(joinRoom("k7fq-9xqm-2p4t-acorn-nest-quill-gimzo"), { code: "invalid-code", hint: "Did you mean “gizmo”?" });
  await assert.rejects(joinRoom("k7fq-9xqm-2p4t-acorn-nest-quill"), { code: "invalid-code" });
  // Over plain HTTP, which whoever could listen could change as well, rooms are open.
  Object.defineProperty(crypto, "subtle", { value: undefined, configurable: true });
  assert.equal((await createRoom()).open, true);
  await assert.rejects(createRoom({ open: false }), { code: "unsupported" });
  await assert.rejects(joinRoom(`k7fq-9xqm-2p4t.${"A".repeat(43)}`), { code: "unsupported" });
});

test("another code: both are told, the seat is free; the third time the room is gone", async (t) => {
  const { world, waiting } = await sealedWorld(t);
  const left = collect(waiting, "peer-left");
  const closed = collect(waiting, "close");
  for (let strike = 1; strike <= 3; strike++) {
    assert.deepEqual(closed, []);
    const stranger = await joinRoom(`${waiting.name}.${"A".repeat(43)}`);
    const [out] = await Promise.all([once(stranger, "close"), until(() => left.length === strike)]);
    assert.equal(out.reason, "not-verified");
    assert.equal(left.at(-1).reason, "not-verified");
    assert.equal(stranger.peer, null);
  }
  await until(() => closed.length === 1);
  assert.equal(closed[0].reason, "burned");
  await until(() => world.server.rooms.size === 0);
  await assert.rejects(joinRoom(waiting.link), { code: "room-not-found" });
});

test("after two strangers the friend comes in", async (t) => {
  const { waiting } = await sealedWorld(t);
  for (let strike = 1; strike <= 2; strike++) await once(await joinRoom(`${waiting.name}.${"A".repeat(43)}`), "close");
  const friend = await joinRoom(waiting.link);
  await open(waiting, friend);
  assert.equal(friend.peer?.verified, "code");
});

test("without a secret nobody comes in, and who has one does not talk to who has none", async (t) => {
  const { waiting } = await sealedWorld(t);
  const left = collect(waiting, "peer-left");
  const stranger = await joinRoom(waiting.name);
  assert.equal((await once(stranger, "close")).reason, "not-verified");
  await until(() => left.length === 1);
  const plain = await createRoom({ open: true });
  const misled = await joinRoom(`${plain.name}.${"A".repeat(43)}`);
  assert.equal((await once(misled, "close")).reason, "not-verified");
});

/**
 * Row 58: what a server in the middle can do to payloads, without the secret. Each must end in no open channel.
 * @type {Record<string, (state: any, payload: any, from: string) => any>}
 */
const ATTACKS = {
  "a seal stripped": (_, payload) => ({ kind: "description", description: { type: payload.nonce ? "answer" : "offer", sdp: "v=0\r\na=ice-ufrag:evil" } }),
  "payloads reflected": (state, payload, from) => {
    const own = (state[from] ??= []);
    own.push(payload);
    return state[from === "one" ? "two" : "one"]?.shift() ?? own[0];
  },
  "a bit turned over": (_, payload) => ({ ...payload, data: `${payload.data.slice(0, -4)}AAAA` }),
  "another count": (_, payload) => ({ ...payload, counter: payload.counter + 1 }),
  "another nonce": (_, payload) => ({ ...payload, nonce: "AAAAAAAAAAAAAAAAAAAAAA" }),
  "answers sealed for nobody": (_, payload) => (payload.nonce ? { ...payload, nonce: undefined } : payload),
  "answers withheld": (_, payload) => (payload.nonce ? null : payload),
  "offers withheld": (_, payload) => (payload.nonce ? payload : null),
};

for (const [name, attack] of Object.entries(ATTACKS)) {
  test(`a server in the middle: ${name}`, async (t) => {
    const { world, waiting } = await sealedWorld(t);
    const state = {};
    world.server.relay = (payload, from) => attack(state, payload, from.peer === waiting.id ? "two" : "one");
    const opened = collect(waiting, "peer");
    const joined = await joinRoom(waiting.link);
    const { peer } = joined;
    const messages = [collect(/** @type {any} */ (peer), "open"), collect(/** @type {any} */ (peer), "message")];
    await world.pass(20_000);
    await world.settle();
    assert.deepEqual(messages.flat(), []);
    assert.equal(peer?.verified, null);
    for (const { peer: two } of opened) assert.notEqual(two.states.channel, "open");
  });
}

test("an earlier session played again is refused, by who remembers it and by who does not", async (t) => {
  const { world, waiting } = await sealedWorld(t);
  const joined = await joinRoom(waiting.link);
  await open(waiting, joined);
  const session = joined.peer?.session;
  const recorded = world.server.heard.filter(({ from, message }) => from === joined.id && message.type === "signal").map(({ message }) => message);
  const { link } = waiting;
  await joined.leave();
  await until(() => waiting.peer === null);
  const socket = [...world.server.sockets].find(({ peer }) => peer === waiting.id);
  socket?.say({ type: "peer-joined", peer: "peer-x", session });
  await until(() => world.server.of("reject").length === 1);
  assert.equal(waiting.peer, null);
  // The one who waits opens its page anew, and has forgotten all but the link.
  const { token, name } = waiting;
  await waiting.leave();
  world.server.rooms.clear();
  const anew = await joinRoom(link, { token });
  assert.equal(anew.name, name);
  const arrives = once(anew, "peer");
  const again = [...world.server.sockets].find(({ peer }) => peer === anew.id);
  again?.say({ type: "peer-joined", peer: "peer-x", session });
  const { peer } = await arrives;
  const opened = collect(peer, "open");
  for (const { payload } of recorded) again?.say({ type: "signal", from: "peer-x", session, payload });
  // The offer opens, for it was sealed before there was a nonce; nobody is there who could go on.
  await until(() => peer.draft?.type === "answer" || anew.peer === null);
  await world.pass(40_000);
  assert.deepEqual([opened, peer.verified], [[], null]);
});

test("what is said again after a lost connection is sealed anew, and the two still find each other", async (t) => {
  const { world, waiting } = await sealedWorld(t);
  // The answer goes into a connection that is lost.
  world.server.relay = (payload, from) => {
    if (from.peer !== waiting.id) return payload;
    world.server.relay = null;
    setImmediate(() => from.drop());
    return null;
  };
  const joined = await joinRoom(waiting.link);
  await until(() => waiting.signaling === "offline");
  for (let second = 0; second < 10; second++) await world.pass(1_000);
  await open(waiting, joined);
  const counters = world.server.heard.filter(({ message }) => message.type === "signal").map(({ from, message: { payload } }) => [from, Boolean(payload.nonce), payload.counter].join());
  assert.equal(new Set(counters).size, counters.length);
});

test("a lie after the channel is open ends nothing and is told", async (t) => {
  const { world, waiting } = await sealedWorld(t);
  const joined = await joinRoom(waiting.link);
  await open(waiting, joined);
  const told = collect(/** @type {any} */ (waiting.peer), "error");
  const socket = [...world.server.sockets].find(({ peer }) => peer === waiting.id);
  const lie = { type: "signal", from: joined.id, session: waiting.peer?.session, payload: { kind: "goodbye" } };
  for (let time = 0; time < 3; time++) socket?.say(lie);
  await until(() => waiting.peer?.trace.records.filter(({ name }) => name === "not-verified").length === 3);
  assert.deepEqual(told.map(({ error }) => error.code), ["not-verified"]);
  assert.equal(waiting.peer?.states.channel, "open");
});
