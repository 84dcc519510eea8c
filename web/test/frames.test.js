/**
 * The framing of the main channel: bytes as docs/protocol.md has them, fragments put together again, and nonsense survived.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { FIRST, KIND, LAST, encodeBlobHeader, frame, readBlobHeader, readFrame } from "../client/frames.js";
import { Inbox, MAX_IN_MEMORY } from "../client/inbox.js";
import { Outbox } from "../client/outbox.js";
import { below, seeded } from "./fake/random.js";
import { settle } from "./fake/world.js";

const table = JSON.parse(readFileSync(new URL("../../crates/protocol/fixtures/tables/frames.json", import.meta.url), "utf8"));

/** @param {string} hex */
const bytesOf = (hex) => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
/** @param {string} text */
const utf8 = (text) => new TextEncoder().encode(text);
/** @param {Inbox} inbox @param {number} kind @param {number} id @param {Uint8Array} payload @param {number} flags */
const feed = (inbox, kind, id, payload, flags) => inbox.take(/** @type {any} */ (readFrame(frame(kind, id, payload, flags).buffer)));
/** A header that may say anything. @param {object} header */
const claim = (header) => utf8(JSON.stringify(header));

test("frames are the bytes of the table, both ways", () => {
  for (const row of table) {
    const read = readFrame(bytesOf(row.bytes).buffer);
    if (row.bytes.replaceAll(" ", "").length < 10) {
      assert.equal(read, null, row.about);
      continue;
    }
    const kind = row.kind === null ? read?.kind : /** @type {Record<string, number>} */ (KIND)[row.kind];
    assert.deepEqual({ ...read, payload: Buffer.from(read?.payload ?? []).toString("hex") }, { kind, id: row.id, first: row.first, last: row.last, payload: row.payload }, row.about);
    if (row.kind === null) {
      assert.ok(!Object.values(KIND).includes(/** @type {any} */ (kind)), row.about);
      continue;
    }
    const flags = (row.first ? FIRST : 0) | (row.last ? LAST : 0);
    assert.deepEqual(frame(/** @type {any} */ (kind), row.id, bytesOf(row.payload), flags), bytesOf(row.bytes), row.about);
    if (row.header) {
      assert.deepEqual(readBlobHeader(bytesOf(row.payload)), row.header, row.about);
      assert.deepEqual(encodeBlobHeader(row.header), bytesOf(row.payload), row.about);
    }
  }
});

/** The next frame, or null. @param {Outbox} outbox @param {number} most */
function take(outbox, most) {
  /** @type {Uint8Array<ArrayBuffer> | null} */ let taken = null;
  outbox.pass(most, (bytes) => {
    taken = bytes;
    return true;
  });
  return /** @type {Uint8Array<ArrayBuffer> | null} */ (taken);
}

test("any message passes any frame size, texts and Blobs interleaved, each kind in order", async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = seeded(seed);
  for (let round = 0; round < 60; round++) {
    const outbox = new Outbox(() => {});
    const messages = Array.from({ length: 1 + below(random, 8) }, () => anyMessage(random));
    const sent = messages.map((message) => outbox.put(message));
    await settle();
    const inbox = new Inbox();
    /** @type {(string | ArrayBuffer | Blob)[]} */ const received = [];
    for (let idle = 0; idle < 4 && !outbox.empty; ) {
      const bytes = take(outbox, 6 + below(random, 70_000));
      if (!bytes) {
        idle += 1;
        await settle();
        continue;
      }
      idle = 0;
      const result = inbox.take(/** @type {any} */ (readFrame(bytes.slice().buffer)));
      if (!result) continue;
      assert.ok("message" in result, `SEED=${seed}: ${JSON.stringify(result)}`);
      received.push(result.message);
    }
    await Promise.all(sent);
    for (const blobs of [false, true]) {
      const [there, here] = [received, messages].map((list) => list.filter((message) => message instanceof Blob === blobs));
      assert.deepEqual(await Promise.all(/** @type {any[]} */ (there).map(plain)), await Promise.all(/** @type {any[]} */ (here).map(plain)), `SEED=${seed}`);
    }
  }
});

/** @param {() => number} random */
function anyMessage(random) {
  const size = below(random, 3) === 0 ? below(random, 200_000) : below(random, 40);
  const bytes = Uint8Array.from({ length: size }, () => below(random, 256));
  switch (below(random, 4)) {
    case 0:
      return Array.from(bytes, (byte) => ["a", "ü", "\u{1f426}", "\n", "\ufeff"][byte % 5]).join("");
    case 1:
      return bytes.buffer;
    case 2:
      return new Uint8Array(bytes.buffer, Math.min(3, size));
    default:
      return new Blob([bytes], { type: "x/y" });
  }
}

/** @param {string | ArrayBuffer | ArrayBufferView | Blob} message */
async function plain(message) {
  if (typeof message === "string") return message;
  if (message instanceof Blob) return [message.type, Buffer.from(await message.arrayBuffer()).toString("hex")];
  return ArrayBuffer.isView(message) ? Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString("hex") : Buffer.from(message).toString("hex");
}

test("a line of text does not wait for a film", async () => {
  const outbox = new Outbox(() => {});
  const film = outbox.put(new Blob([new Uint8Array(3 * 1024 * 1024)]));
  await settle();
  assert.equal(readFrame(/** @type {any} */ (take(outbox, 65_536)).slice().buffer)?.kind, KIND.blob);
  const line = outbox.put("hello");
  const kinds = [take(outbox, 65_536), take(outbox, 65_536)].map((bytes) => readFrame(/** @type {any} */ (bytes).slice().buffer)?.kind);
  assert.ok(kinds.includes(KIND.text), "within the next two frames");
  await line;
  outbox.fail(/** @type {any} */ (new Error("over")));
  await assert.rejects(film, /over/);
});

test("a Blob is read a block at a time and one ahead", async () => {
  let reading = 0;
  let most = 0;
  const film = new Blob([new Uint8Array(8 * 1024 * 1024)]);
  const slice = film.slice.bind(film);
  film.slice = (...range) => {
    const part = slice(...range);
    const arrayBuffer = part.arrayBuffer.bind(part);
    most = Math.max(most, (reading += part.size));
    part.arrayBuffer = () => arrayBuffer();
    return part;
  };
  const outbox = new Outbox(() => {});
  const sent = outbox.put(film);
  let taken = 0;
  while (!outbox.empty) {
    const bytes = take(outbox, 65_536);
    if (!bytes) await settle();
    else {
      const { length = 0 } = readFrame(bytes.slice().buffer)?.payload ?? {};
      taken += length;
      reading -= length;
    }
  }
  await sent;
  assert.ok(taken >= film.size);
  assert.ok(most <= 2.2 * 1024 * 1024, `${most} bytes of it in memory`);
});

test("a send given up is told to the other side, and its lane goes on", async () => {
  const outbox = new Outbox(() => {});
  const inbox = new Inbox();
  const controller = new AbortController();
  const first = outbox.put(new Uint8Array(100_000), { signal: controller.signal });
  const begun = take(outbox, 1_000);
  controller.abort();
  await assert.rejects(first, { name: "AbortError" });
  const second = outbox.put("next");
  const results = [begun, take(outbox, 1_000), take(outbox, 1_000)].map((bytes) => inbox.take(/** @type {any} */ (readFrame(/** @type {any} */ (bytes).slice().buffer))));
  assert.deepEqual(results.map((result) => result && "message" in result && result.message), [null, null, "next"]);
  await second;
  await assert.rejects(outbox.put("x", { signal: AbortSignal.abort() }), { name: "AbortError" });
});

test("progress is told, and a send inside the telling does no harm", async () => {
  const outbox = new Outbox(() => {});
  /** @type {number[]} */ const told = [];
  const sent = outbox.put(new Uint8Array(2_500), { onProgress: (bytes, total) => told.push(bytes, total) });
  while (!outbox.empty) take(outbox, 1_005);
  await sent;
  assert.deepEqual(told, [1_000, 2_500, 2_000, 2_500, 2_500, 2_500]);
});

test("a progress callback that throws is reported, and the message arrives whole", async (t) => {
  /** @type {unknown[]} */ const reported = [];
  t.mock.method(globalThis, "queueMicrotask", (/** @type {() => void} */ run) => {
    try {
      run();
    } catch (error) {
      reported.push(error);
    }
  });
  const outbox = new Outbox(() => {});
  const inbox = new Inbox();
  const bytes = Uint8Array.from({ length: 2_500 }, (_, at) => at);
  const failure = new Error("of the page");
  const sent = outbox.put(bytes, {
    onProgress: () => {
      throw failure;
    },
  });
  let result = null;
  while (!outbox.empty) result = inbox.take(/** @type {any} */ (readFrame(/** @type {any} */ (take(outbox, 1_005)).slice().buffer)));
  await sent;
  assert.deepEqual(result && "message" in result && result.message, bytes.buffer);
  assert.deepEqual(reported, [failure, failure, failure]);
});

test("a message whose last frame was not taken has not been sent", async () => {
  const outbox = new Outbox(() => {});
  const sent = outbox.put("never leaves");
  assert.equal(outbox.pass(65_536, () => false), false);
  outbox.fail(/** @type {any} */ (new Error("the channel is gone")));
  await assert.rejects(sent, /gone/);
});

test("what is written into a buffer after it was given to be sent is not sent", async () => {
  for (const view of [(/** @type {ArrayBuffer} */ buffer) => buffer, (/** @type {ArrayBuffer} */ buffer) => new DataView(buffer, 1, 2_000)]) {
    const outbox = new Outbox(() => {});
    const inbox = new Inbox();
    const bytes = new Uint8Array(2_500).fill(1);
    const sent = outbox.put(view(bytes.buffer));
    take(outbox, 1_005);
    const again = outbox.put(view(bytes.buffer));
    bytes.fill(2);
    /** @type {any[]} */ const results = [];
    while (!outbox.empty) results.push(inbox.take(/** @type {any} */ (readFrame(/** @type {any} */ (take(outbox, 100_000)).slice().buffer))));
    await Promise.all([sent, again]);
    const last = new Uint8Array(results.at(-1).message);
    assert.ok(last.length >= 2_000 && last.every((byte) => byte === 1));
  }
});

test("a text or binary message beyond the bound is refused on either side, a Blob has none", async () => {
  await assert.rejects(new Outbox(() => {}).put(new Uint8Array(MAX_IN_MEMORY + 1)), { code: "message-too-large" });
  const inbox = new Inbox();
  const part = new Uint8Array(16 * 1024 * 1024);
  assert.equal(feed(inbox, KIND.binary, 1, part, FIRST), null);
  for (let more = 0; more < 3; more++) assert.equal(feed(inbox, KIND.binary, 1, part, 0), null);
  assert.deepEqual(feed(inbox, KIND.binary, 1, new Uint8Array(1), 0), { problem: "message-too-large" });
  assert.equal(feed(inbox, KIND.binary, 1, part, 0), null, "what is on its way of it is passed over");
  assert.deepEqual(feed(inbox, KIND.text, 2, utf8("next"), FIRST | LAST), { message: "next", name: null, bytes: 4 });
});

test("what breaks the rules gets its code, and the next message passes", () => {
  /** @type {[string, [number, number, Uint8Array, number][]][]} */
  const cases = [
    ["no-first-fragment", [[KIND.text, 1, utf8("a"), LAST]]],
    ["no-first-fragment", [[KIND.blob, 1, utf8("a"), 0]]],
    ["interleaved", [[KIND.text, 1, utf8("a"), FIRST], [KIND.text, 2, utf8("b"), FIRST]]],
    ["interleaved", [[KIND.text, 1, utf8("a"), FIRST], [KIND.text, 2, utf8("b"), 0]]],
    ["interleaved", [[KIND.text, 1, utf8("a"), FIRST], [KIND.binary, 1, utf8("b"), 0]]],
    ["interleaved", [[KIND.blob, 1, claim({ size: 9, type: "" }), FIRST], [KIND.blob, 2, claim({ size: 9, type: "" }), FIRST]]],
    ["interleaved", [[KIND.blob, 1, claim({ size: 9, type: "" }), FIRST], [KIND.blob, 2, utf8("b"), 0]]],
    ["malformed-text", [[KIND.text, 1, bytesOf("ff"), FIRST | LAST]]],
    ["size-mismatch", [[KIND.blob, 1, claim({ size: 1, type: "" }), FIRST], [KIND.blob, 1, utf8("ab"), 0]]],
    ["size-mismatch", [[KIND.blob, 1, claim({ size: 3, type: "" }), FIRST], [KIND.blob, 1, utf8("ab"), LAST]]],
    ["size-mismatch", [[KIND.blob, 1, claim({ size: 3, type: "" }), FIRST | LAST]]],
    ...[
      utf8("{"),
      utf8("null"),
      bytesOf("ff"),
      claim({ size: -1, type: "" }),
      claim({ size: 1.5, type: "" }),
      claim({ size: 2 ** 53, type: "" }),
      claim({ size: "3", type: "" }),
      claim({ size: 3 }),
      claim({ size: 3, type: "t".repeat(256) }),
      claim({ size: 3, type: "", name: 1 }),
      claim({ size: 3, type: "", name: "n".repeat(256) }),
      claim({ size: 3, type: "", more: "m".repeat(4_096) }),
    ].map((header) => /** @type {[string, [number, number, Uint8Array, number][]]} */ (["malformed-blob-header", [[KIND.blob, 1, header, FIRST]]])),
  ];
  for (const [problem, fragments] of cases) {
    const inbox = new Inbox();
    const results = fragments.map(([kind, id, payload, flags]) => feed(inbox, kind, id, payload, flags));
    assert.deepEqual(results.at(-1), { problem });
    assert.deepEqual(results.slice(0, -1).filter(Boolean), []);
    assert.deepEqual(feed(inbox, KIND.text, 9, utf8("on"), FIRST | LAST), { message: "on", name: null, bytes: 2 });
    const blob = feed(inbox, KIND.blob, 10, claim({ size: 0, type: "a/b", name: "n" }), FIRST | LAST);
    assert.ok(blob && "message" in blob && blob.message instanceof Blob && blob.name === "n");
  }
});

test("random bytes neither throw nor are kept", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = seeded(seed);
  const inbox = new Inbox();
  for (let round = 0; round < 20_000; round++) {
    const bytes = Uint8Array.from({ length: below(random, 40) }, () => below(random, 256));
    if (bytes.length > 4) bytes.fill(0, 1, 4); // few ids, so that fragments meet
    const read = readFrame(bytes.slice().buffer);
    if (read && [KIND.text, KIND.binary, KIND.blob, KIND.abort].includes(/** @type {any} */ (read.kind))) inbox.take(read);
  }
});

test("crumbs cost no more than their size", () => {
  const inbox = new Inbox();
  const crumb = new Uint8Array(1);
  globalThis.gc?.();
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
  feed(inbox, KIND.binary, 1, crumb, FIRST);
  for (let count = 0; count < 500_000; count++) feed(inbox, KIND.binary, 1, crumb, 0);
  globalThis.gc?.();
  const grown = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before;
  assert.ok(grown < 64 * 1024 * 1024, `${grown} bytes for half a million of one byte`);
});
