/**
 * Sealing and codes against the fixtures that Rust reads, too.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { checkWords, drawWords, stretch, suggest } from "../client/code.js";
import { parseRoom } from "../client/index.js";
import { readCode, roomLink } from "../client/link.js";
import { Seal } from "../client/seal.js";
import { WORDS } from "../client/words.js";

/** @typedef {import("../client/types.d.ts").Role} Role */

const protocol = new URL("../../crates/protocol/", import.meta.url);
/** @param {string} name */
const table = (name) => JSON.parse(readFileSync(new URL(`fixtures/tables/${name}.json`, protocol), "utf8"));
const fixtures = table("seal");
const { room, key, session, nonce } = fixtures.pairing;

/** An end whose randomness is that of the fixtures. @param {Role} role */
function end(role) {
  const { getRandomValues } = crypto;
  try {
    // What is drawn at once, in the constructor, is the nonce.
    crypto.getRandomValues = (/** @type {any} */ bytes) => (bytes.set(Buffer.from(nonce, "base64url")), bytes);
    return new Seal({ key, room, session, role });
  } finally {
    crypto.getRandomValues = getRandomValues;
  }
}

/** @returns {Record<Role, Seal>} */
const both = () => ({ PEER1: end("PEER1"), PEER2: end("PEER2") });

async function afterTheTable() {
  const ends = both();
  for (const { from, payload, sealed } of fixtures.pairing.records) {
    const to = from === "PEER1" ? ends.PEER2 : ends.PEER1;
    const own = await ends[/** @type {Role} */ (from)].seal(JSON.parse(payload));
    assert.deepEqual(own, sealed);
    assert.deepEqual(await to.open(own), JSON.parse(payload));
  }
  return ends;
}

test("the fixtures are sealed and opened as they are", async () => {
  const { PEER1, PEER2 } = await afterTheTable();
  assert.ok(PEER1.met && PEER2.met);
});

test("the words of the fixtures give their keys", async () => {
  for (const row of fixtures.stretch) assert.equal(await stretch(row.room, row.words), row.key);
});

test("what must be refused is", async () => {
  assert.ok(fixtures.refused.length > 25);
  for (const { at, about, payload } of fixtures.refused) {
    const ends = both();
    await assert.rejects(ends[/** @type {Role} */ (at)].open(payload), { code: "not-verified" }, about);
    assert.equal(ends[/** @type {Role} */ (at)].met, false, about);
  }
  for (const { at, about, payload, error } of fixtures.later) {
    const ends = await afterTheTable();
    await assert.rejects(ends[/** @type {Role} */ (at)].open(payload), { code: error }, about);
  }
});

test("what is asked for at once is sealed and opened in its order", async () => {
  const { PEER1, PEER2 } = both();
  const many = Array.from({ length: 100 }, (_, place) => ({ kind: "weather", place }));
  const sealed = await Promise.all(many.map((payload) => PEER1.seal(payload)));
  assert.deepEqual(sealed.map(({ counter }) => counter), many.map(({ place }) => place));
  assert.deepEqual(await Promise.all(sealed.map((payload) => PEER2.open(payload))), many);
  // One that does not open does not hold up those behind it.
  const [bad, good] = [PEER2.open({ kind: "goodbye" }), PEER2.open(await PEER1.seal({ kind: "goodbye" }))];
  await assert.rejects(bad, { code: "not-verified" });
  assert.deepEqual(await good, { kind: "goodbye" });
});

test("no nonce comes twice, whichever key is at hand and however the two cross", async () => {
  for (let round = 0; round < 20; round++) {
    const { PEER1, PEER2 } = both();
    const seen = new Set();
    /** @param {number} count */
    const some = (count) => Array.from({ length: count }, () => PEER1.seal({ kind: "steps" }));
    const before = some(round);
    const answer = await PEER2.seal({ kind: "steps" });
    const opening = PEER1.open(answer);
    for (const sealed of await Promise.all([...before, ...some(50), opening.then(() => PEER1.seal({ kind: "steps" }))])) {
      assert.ok(!seen.has(sealed.counter));
      seen.add(sealed.counter);
      await PEER2.open(sealed).catch(({ code }) => assert.equal(code, "repeated"));
    }
    assert.equal(seen.size, round + 51);
  }
});

test("the list of words is that of Rust", () => {
  assert.deepEqual(WORDS, readFileSync(new URL("src/words.txt", protocol), "utf8").trim().split("\n"));
  for (const word of drawWords()) assert.ok(WORDS.includes(word));
  assert.ok(new Set(Array.from({ length: 50 }, () => drawWords().join("-"))).size === 50);
});

test("codes are read as the table says", () => {
  for (const { about, text, room, words, error, place, suggestion } of table("codes")) {
    const read = readCode(text);
    if (!error && room === null) {
      assert.equal(read, null, about);
      continue;
    }
    assert.ok(read, about);
    if (!error) {
      assert.deepEqual(read, { name: room, key: null, words }, about);
      assert.deepEqual(parseRoom(` #${encodeURIComponent(text)}`), { server: null, ...read }, about);
      checkWords(read.words);
      continue;
    }
    assert.throws(() => checkWords(read.words), { code: "invalid-code" }, about);
    if (error === "unknown-word") assert.equal(suggest(/** @type {string} */ (read.words[place])), suggestion, about);
  }
});

test("a link leads back to its room and key, and a damaged one into no room", () => {
  const link = roomLink("https://crowfly.example/", room, key);
  assert.deepEqual(parseRoom(link), { name: room, server: "https://crowfly.example/", key, words: null });
  assert.deepEqual(parseRoom(link.replace(room, room.toUpperCase())).name, room);
  for (const bad of [link.slice(0, -1), `${link}A`, link.slice(0, -key.length), link.replace(key, `${key.slice(0, -1)}Z`)]) {
    assert.throws(() => parseRoom(bad), { code: "invalid-code" }, bad);
  }
  assert.throws(() => parseRoom(`kitchen.${key}`), { code: "invalid-room-name" });
});
