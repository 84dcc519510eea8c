/**
 * The fixtures of docs/protocol.md, as this client reads and writes them; names and links as people type them.
 */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";
import { createRoom, joinRoom, parseRoom } from "../client/index.js";
import { roomLink, socketURL } from "../client/link.js";
import { payloadName, readPayload } from "../client/payload.js";
import { pair } from "./fake/pair.js";
import { collect, createWorld, once } from "./fake/world.js";

const folder = new URL("../../crates/protocol/fixtures/", import.meta.url);
/** @type {Record<string, any>} */
const fixtures = Object.fromEntries(
  readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .map((file) => [file.slice(0, -5), JSON.parse(readFileSync(new URL(file, folder), "utf8"))]),
);
const names = JSON.parse(readFileSync(new URL("tables/names.json", folder), "utf8"));

/** Same fields, same types: what varies is drawn at random. @param {any} value @returns {any} */
function shape(value) {
  if (value === null || typeof value !== "object") return value === null ? "null" : typeof value;
  return Array.isArray(value) ? value.map(shape) : Object.fromEntries(Object.keys(value).sort().map((key) => [key, shape(value[key])]));
}

test("every payload fixture is read as what it is", () => {
  const candidate = fixtures["payload-candidate"].candidate;
  const expected = {
    "payload-offer": { kind: "description", description: fixtures["payload-offer"].description },
    "payload-answer": { kind: "description", description: fixtures["payload-answer"].description },
    "payload-candidate": { kind: "candidates", candidates: [candidate], complete: false },
    "payload-candidates": { kind: "candidates", candidates: [candidate], complete: true },
    "payload-end-of-candidates": { kind: "candidates", candidates: [], complete: true },
    "payload-goodbye": { kind: "goodbye" },
    "payload-silent": { kind: "silent" },
    "payload-steps": { kind: "steps" },
    "payload-problem": { kind: "problem", code: "unknown-kind", about: "weather" },
  };
  assert.deepEqual(Object.keys(expected).sort(), Object.keys(fixtures).filter((name) => name.startsWith("payload-")).sort());
  for (const [name, payload] of Object.entries(expected)) {
    assert.deepEqual(readPayload(fixtures[name]), payload, name);
    assert.equal(payloadName(fixtures[name]), name.slice("payload-".length));
  }
});

test("what this client sends has the shape of the fixtures", async (t) => {
  const world = createWorld(t);
  await createRoom({ name: "Küche 7" });
  world.webrtc.gathers = false;
  const { waiting, joined } = await pair(world);
  // Found one at a time, candidates leave one at a time.
  for (const connection of world.webrtc.connections.slice(1)) {
    connection.found(1);
    await world.settle();
    connection.gather(0);
    await world.settle();
  }
  world.server.kill();
  await world.settle();
  world.server.mode = "up";
  await world.pass(5_000);
  const mute = new world.server.WebSocket("ws://x/ws");
  await world.settle();
  await joined.leave();
  await world.settle();
  mute.send(JSON.stringify({ type: "join", room: waiting.name, session: "AAAAAAAAAAAAAAAAAAAAAA" }));
  await world.pass(25_500);
  /** @param {string} type @param {(message: any) => boolean} [which] */
  const sent = (type, which = () => true) => shape(world.server.of(type).find(which));
  assert.deepEqual(sent("create", ({ room }) => room === undefined), shape(fixtures.create));
  assert.deepEqual(sent("create", ({ room }) => room !== undefined), shape(fixtures["create-named"]));
  assert.deepEqual(sent("join"), shape(fixtures.join));
  assert.deepEqual(sent("resume", ({ session }) => session !== undefined), shape(fixtures.resume));
  assert.deepEqual(sent("reject"), shape(fixtures.reject));
  assert.deepEqual(sent("ping"), shape(fixtures.ping));
  assert.deepEqual({ ...sent("leave"), id: "number" }, shape(fixtures.leave));
  for (const [name, which] of /** @type {[string, (payload: any) => boolean][]} */ ([
    ["offer", ({ description }) => description?.type === "offer"],
    ["answer", ({ description }) => description?.type === "answer"],
    ["candidate", ({ kind }) => kind === "candidate"],
    ["end-of-candidates", ({ kind }) => kind === "end-of-candidates"],
  ])) {
    assert.deepEqual(sent("signal", ({ payload }) => which(payload)), shape({ ...fixtures.signal, payload: fixtures[`payload-${name}`] }), name);
  }
});

test("the server's messages are understood as the fixtures have them", async (t) => {
  const world = createWorld(t);
  world.server.mode = "silent";
  const joining = joinRoom("k7fq-9xqm-2p4t");
  await world.settle();
  const [socket] = world.server.sockets;
  socket?.say(fixtures.welcome);
  await world.settle();
  socket?.say(fixtures.joined);
  const room = await joining;
  assert.deepEqual([room.id, room.name, room.token, room.peer?.id], [fixtures.welcome.peer, fixtures.joined.room, fixtures.joined.token, fixtures.joined.peer]);
  const left = collect(room, "peer-left");
  const closed = collect(room, "close");
  const session = room.peer?.session;
  socket?.say({ ...fixtures["peer-left"], session });
  await world.settle();
  assert.deepEqual(left.map(({ reason }) => reason), ["leave"]);
  const arrives = once(room, "peer");
  socket?.say(fixtures["peer-joined"]);
  const { peer } = await arrives;
  assert.deepEqual([peer.id, peer.session, peer.role], [fixtures["peer-joined"].peer, fixtures["peer-joined"].session, "PEER2"]);
  socket?.say(fixtures["peer-offline"]);
  socket?.say(fixtures["peer-online"]);
  socket?.say(fixtures["signal-relayed"]);
  socket?.say({ ...fixtures.error, id: undefined });
  socket?.say({ type: "of a later version" });
  socket?.dispatchEvent(Object.assign(new Event("message"), { data: "not JSON" }));
  await world.settle();
  const names = peer.trace.records.map(({ name }) => name);
  for (const name of ["peer-offline", "peer-online", "signal:end-of-candidates", "error"]) assert.ok(names.includes(name), name);
  socket?.say(fixtures["left-rejected"]);
  await world.settle();
  assert.deepEqual(closed.map(({ reason }) => reason), ["busy"]);
});

test("names people type: those the server takes pass, those it cannot take are mostly stopped here", () => {
  for (const { about, text, name } of names) {
    if (name !== null) assert.ok(parseRoom(text).name.length > 0, about);
    if (text.trim() === "" || /^[^#]*[/?\\<>][^#]*$/.test(text)) assert.throws(() => parseRoom(text), { code: "invalid-room-name" }, about);
  }
});

test("links lead back to their room and server", () => {
  for (const [server, name] of [["https://crowfly.example/", "k7fq-9xqm-2p4t"], ["http://127.0.0.1:8080/", "küche-7"], ["https://example.com/crowfly/", "部屋"]]) {
    assert.deepEqual(parseRoom(roomLink(/** @type {string} */ (server), /** @type {string} */ (name))), { name, server, key: null, words: null });
  }
  assert.deepEqual(parseRoom("  Küche 7 "), { name: "Küche-7", server: null, key: null, words: null });
  assert.deepEqual(parseRoom("#kitchen"), { name: "kitchen", server: null, key: null, words: null });
  for (const bad of ["", "  ", "#", "https://crowfly.example/", "https://crowfly.example/#", "javascript:alert(1)#x", "not a url#x", "a/b", "<b>", "%", "x".repeat(65)]) {
    assert.throws(() => parseRoom(bad), { code: "invalid-room-name" }, bad);
  }
  assert.equal(socketURL("https://crowfly.example/"), "wss://crowfly.example/ws");
  assert.equal(socketURL("http://127.0.0.1:8080/sub/"), "ws://127.0.0.1:8080/sub/ws");
});
