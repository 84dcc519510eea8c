// Data channels: every option, every kind and size of message, files larger than memory should hold, and what a full buffer does.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { LONG, PAIRS, KINDS, scenario } from "./harness.js";
import { programs } from "./program.js";

/** @typedef {any} Global */

/** Every option of RTCDataChannelInit, alone and together. */
const CHANNELS = [
  { label: "plain", init: {} },
  { label: "unordered", init: { ordered: false } },
  { label: "no retransmission", init: { maxRetransmits: 0 } },
  { label: "few retransmissions, unordered", init: { ordered: false, maxRetransmits: 3 } },
  { label: "short life", init: { maxPacketLifeTime: 500 } },
  { label: "short life, unordered", init: { ordered: false, maxPacketLifeTime: 500 } },
  { label: "with a protocol", init: { protocol: "example.7" } },
  { label: "", init: {} },
  { label: "Ünïcödé \u{1F426} <b>", init: { protocol: "protocol é" } },
  { label: "x".repeat(1000), init: {} },
];

for (const [first, second] of PAIRS) {
  scenario(`${first} and ${second}: both ends tell the same label and options; text, bytes and Blobs arrive`, async (stage) => {
    const { waiting, joining } = await programs(stage, first, second);
    for (const [opener, other] of [[joining, waiting], [waiting, joining]]) {
      await other.run(() => {
        const { peer } = /** @type {Global} */ (globalThis);
        Object.assign(globalThis, { came: [] });
        peer.addEventListener("channel", (/** @type {Global} */ { channel }) => {
          /** @type {Global} */ (globalThis).came.push(channel);
          channel.addEventListener("message", (/** @type {Global} */ { data }) => channel.send(data));
        });
      });
      for (const { label, init } of CHANNELS) {
        const here = await opener.run(async (/** @type {string} */ name, /** @type {RTCDataChannelInit} */ wanted) => {
          const { peer, next } = /** @type {Global} */ (globalThis);
          const channel = peer.channel(name, wanted);
          if (channel.readyState !== "open") await next(channel, "open");
          const echo = async (/** @type {any} */ data) => {
            const answer = next(channel, "message");
            await channel.send(data);
            return (await answer).data;
          };
          const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index);
          const echoes = [
            await echo("text \u{1F426}"),
            await echo(""),
            [...new Uint8Array(await echo(bytes.subarray(10, 20)))],
            new Uint8Array(await echo(bytes.buffer)).length,
            new TextDecoder().decode(await echo(new Blob(["a Blob"]))),
          ];
          const { protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated, id } = channel;
          channel.close();
          return { echoes, options: { label: channel.label, protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated, id } };
        }, label, init);
        assert.deepEqual(here.echoes, ["text \u{1F426}", "", Array.from({ length: 10 }, (_, index) => index + 10), 1000, "a Blob"], label);
        const there = await other.run(() => {
          const { label: name, protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated, id } = /** @type {Global} */ (globalThis).came.at(-1);
          return { label: name, protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated, id };
        });
        assert.deepEqual(there, here.options, label);
        const wanted = { ordered: true, maxRetransmits: null, maxPacketLifeTime: null, protocol: "", negotiated: false, ...init };
        assert.deepEqual(here.options, { label, id: here.options.id, ...wanted }, label);
      }
    }
  });

  scenario(`${first} and ${second}: a negotiated channel is open on both sides without an announcement`, async (stage) => {
    const { waiting, joining } = await programs(stage, first, second);
    await Promise.all([waiting, joining].map((page) => page.run(async () => {
      const { peer, next } = /** @type {Global} */ (globalThis);
      Object.assign(globalThis, { announced: 0 });
      peer.addEventListener("channel", () => (/** @type {Global} */ (globalThis).announced += 1));
      const channel = peer.channel("agreed", { negotiated: true, id: 77 });
      Object.assign(globalThis, { channel, heard: next(channel, "message") });
      if (channel.readyState !== "open") await next(channel, "open");
    })));
    for (const page of [waiting, joining]) await page.run(() => /** @type {Global} */ (globalThis).channel.send("over 77"));
    for (const page of [waiting, joining]) {
      const seen = await page.run(async () => {
        const { channel, heard, announced } = /** @type {Global} */ (globalThis);
        return [(await heard).data, channel.id, channel.negotiated, announced];
      });
      assert.deepEqual(seen, ["over 77", 77, true, 0]);
    }
  });

  scenario(`${first} and ${second}: messages of every size arrive whole and in order, both ways at once`, async (stage) => {
    const { waiting, joining } = await programs(stage, first, second);
    const sizes = [0, 1, 2, 1200, 16_383, 16_384, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 1_048_577, 5_000_000, 3];
    await Promise.all([waiting, joining].map((page) => page.run(async (/** @type {number[]} */ all) => {
      const { peer } = /** @type {Global} */ (globalThis);
      await Promise.all(all.flatMap((size) => [peer.send("ä".repeat(size)), peer.send(new Uint8Array(size).fill(size % 251))]));
    }, sizes)));
    for (const page of [waiting, joining]) {
      await page.until((/** @type {number} */ count) => /** @type {Global} */ (globalThis).messages.length >= count, sizes.length * 2);
      const seen = await page.run(() => /** @type {Global} */ (globalThis).messages.map((/** @type {string | ArrayBuffer} */ data) => {
        if (typeof data === "string") return ["text", data.length, /^ä*$/.test(data)];
        const bytes = new Uint8Array(data);
        return ["bytes", bytes.length, bytes.every((byte) => byte === bytes.length % 251)];
      }));
      assert.deepEqual(seen, sizes.flatMap((size) => [["text", size, true], ["bytes", size, true]]));
    }
  });
}

/** 1 GiB in long runs. On two cores Chromium moves about 10 MB a second. */
const FILE_MIB = LONG ? 1024 : 384;
/** What sending may cost beyond what the page cost before, whatever the size of the file: Firefox lets some 150 MiB of garbage gather. */
const MEMORY_MIB = 192;

for (const [first, second] of /** @type {[import("./browsers.js").Kind, import("./browsers.js").Kind][]} */ ([["chromium", "chromium"], ["firefox", "chromium"], ["chromium", "firefox"]])) {
  scenario(`a file of ${FILE_MIB} MiB from ${second} to ${first}, with the sender's memory watched`, async (stage) => {
    const folder = await mkdtemp(join(tmpdir(), "crowfly-file-"));
    stage.finally(() => rm(folder, { recursive: true }));
    const path = join(folder, "film.bin");
    const digest = await makeFile(path, FILE_MIB);
    const { waiting, joining } = await programs(stage, first, second, { page: { own: true } });
    await pickFile(joining, path);
    const [before, beforeThere] = [joining.memory(), waiting.memory()];
    await joining.run(() => {
      const { peer, file } = /** @type {Global} */ (globalThis);
      Object.assign(globalThis, { progress: 0, arrived: false });
      peer.send(file, { onProgress: (/** @type {number} */ sent, /** @type {number} */ total) => Object.assign(globalThis, { progress: sent / total }) })
        .then(() => Object.assign(globalThis, { arrived: true }));
    });
    let [most, mostThere] = [0, 0];
    for (let tenth = 1; tenth <= 20; tenth += 1) {
      await joining.until((/** @type {number} */ wanted) => /** @type {Global} */ (globalThis).progress >= wanted / 20, tenth);
      [most, mostThere] = [Math.max(most, joining.memory()), Math.max(mostThere, waiting.memory())];
    }
    await joining.until(() => /** @type {Global} */ (globalThis).arrived);
    await waiting.until(() => /** @type {Global} */ (globalThis).messages.length === 1);
    const received = await waiting.run(async () => {
      const { messages, digest: sum } = /** @type {Global} */ (globalThis);
      return { size: messages[0].size, digest: await sum(messages[0]) };
    });
    assert.deepEqual(received, { size: FILE_MIB * 1024 * 1024, digest });
    const grown = Math.round((most - before) / 1024 / 1024);
    const grownThere = Math.round((mostThere - beforeThere) / 1024 / 1024);
    console.log(`    sender +${grown} MiB, receiver +${grownThere} MiB at most, of a file of ${FILE_MIB} MiB`);
    assert.ok(grown <= MEMORY_MIB, `the sender's browser grew by ${grown} MiB`);
  }, { limit: LONG ? 1_200_000 : 300_000 });
}

/** Writes a file of random bytes, and tells the digest that program.js computes. */
async function makeFile(/** @type {string} */ path, /** @type {number} */ mebibytes) {
  const file = await open(path, "w");
  const random = await open("/dev/urandom");
  const mebibyte = Buffer.alloc(1024 * 1024);
  for (let index = 0; index < mebibytes; index += 1) {
    await random.read(mebibyte, 0, mebibyte.length);
    await file.write(mebibyte);
  }
  await Promise.all([file.close(), random.close()]);
  const whole = createHash("sha256");
  for await (const part of createReadStream(path, { highWaterMark: 1024 * 1024 })) whole.update(createHash("sha256").update(part).digest());
  return whole.digest("hex");
}

/** The page gets the file as if somebody had picked it: `file` is then a global. */
async function pickFile(/** @type {import("./browsers.js").Visitor} */ visitor, /** @type {string} */ path) {
  await visitor.run(() => {
    const input = Object.assign(document.createElement("input"), { type: "file", id: "pick" });
    input.addEventListener("change", () => Object.assign(globalThis, { file: input.files?.[0] }));
    document.body.append(input);
  });
  const input = /** @type {import("puppeteer-core").ElementHandle<HTMLInputElement>} */ (await visitor.page.$("#pick"));
  await input.uploadFile(path);
  await visitor.until(() => /** @type {Global} */ (globalThis).file);
}

for (const kind of KINDS) {
  scenario(`${kind}: sending waits while the buffer is full, on the main channel and on others`, async (stage) => {
    const { joining } = await programs(stage, "chromium", kind, {
      page: {
        spy: () => {
          // The most that was ever left with the browser.
          Object.assign(globalThis, { most: 0 });
          const send = /** @type {any} */ (RTCDataChannel.prototype.send);
          RTCDataChannel.prototype.send = /** @this {RTCDataChannel} */ function (/** @type {unknown} */ data) {
            send.call(this, data);
            /** @type {Global} */ (globalThis).most = Math.max(/** @type {Global} */ (globalThis).most, this.bufferedAmount);
          };
        },
      },
    });
    const most = await joining.run(async () => {
      const { peer, next } = /** @type {Global} */ (globalThis);
      const block = new Uint8Array(65_536);
      await Promise.all(Array.from({ length: 400 }, () => peer.send(block)));
      const main = /** @type {Global} */ (globalThis).most;
      /** @type {Global} */ (globalThis).most = 0;
      const channel = peer.channel("other");
      if (channel.readyState !== "open") await next(channel, "open");
      await Promise.all(Array.from({ length: 400 }, () => channel.send(block)));
      return { main, other: /** @type {Global} */ (globalThis).most };
    });
    // 26 MB were sent each time; what waits with the browser stays within its high-water mark and one message.
    const bound = 1024 * 1024 + 262_144;
    assert.ok(most.main > 0 && most.main <= bound, `main channel: ${most.main}`);
    assert.ok(most.other > 0 && most.other <= bound, `other channel: ${most.other}`);
  });

  scenario(`${kind}: a transfer given up leaves nothing behind, and chat goes on beside it`, async (stage) => {
    const { waiting, joining } = await programs(stage, "chromium", kind);
    const outcome = await joining.run(async () => {
      const { peer } = /** @type {Global} */ (globalThis);
      const abort = new AbortController();
      const blob = new Blob([new Uint8Array(30_000_000)]);
      let lines = 0;
      const sending = peer.send(blob, {
        signal: abort.signal,
        onProgress: (/** @type {number} */ sent) => {
          if (lines < 3 && sent > lines * 1_000_000) void peer.send(`line ${(lines += 1)}`);
          if (sent > 5_000_000) abort.abort();
        },
      });
      const error = await sending.then(() => null, (/** @type {Error} */ thrown) => thrown.name);
      await peer.send(new Blob(["whole"]));
      return error;
    });
    assert.equal(outcome, "AbortError");
    await waiting.until(() => /** @type {Global} */ (globalThis).messages.length >= 4);
    const seen = await waiting.run(() => Promise.all(/** @type {Global} */ (globalThis).messages.map((/** @type {string | Blob} */ data) => (typeof data === "string" ? data : data.text()))));
    assert.deepEqual(seen, ["line 1", "line 2", "line 3", "whole"]);
  });

  scenario(`${kind}: what cannot be sent is refused with its code`, async (stage) => {
    const { joining } = await programs(stage, "chromium", kind);
    const codes = await joining.run(async () => {
      const { peer, room, next } = /** @type {Global} */ (globalThis);
      const code = (/** @type {Promise<unknown>} */ promise) => promise.then(() => "sent", (error) => error.code);
      const channel = peer.channel("raw");
      const early = await code(channel.send("early"));
      if (channel.readyState !== "open") await next(channel, "open");
      const large = await code(channel.send(new Uint8Array(50_000_000)));
      await room.leave();
      return [early, large, await code(channel.send("late")), await code(peer.send("late"))];
    });
    assert.deepEqual(codes, ["not-open", "message-too-large", "closed", "closed"]);
  });
}
