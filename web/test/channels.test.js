/**
 * The main channel against what a stranger may do with it, backpressure, and further channels.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { FIRST, KIND, LAST, encodeBlobHeader, frame, readFrame } from "../client/frames.js";
import { MainChannel } from "../client/main-channel.js";
import { pair } from "./fake/pair.js";
import { below, seeded } from "./fake/random.js";
import { FakeDataChannel } from "./fake/webrtc.js";
import { collect, createWorld, once, settle } from "./fake/world.js";

/** Two ends of a channel, one of them a MainChannel. */
function open(/** @type {number} */ maxMessageSize = 16_384) {
  const here = new FakeDataChannel(null, "crowfly", { protocol: "crowfly.1" });
  const there = new FakeDataChannel(null, "crowfly", { protocol: "crowfly.1" }, true);
  here.other = there;
  there.other = here;
  here.opened();
  there.opened();
  /** @type {any[]} */ const messages = [];
  /** @type {string[]} */ const errors = [];
  /** @type {any[]} */ const coming = [];
  const heard = { anything: 0, hostile: 0, goodbye: 0, pongs: /** @type {number[]} */ ([]) };
  const main = new MainChannel(/** @type {any} */ (here), {
    maxMessageSize: () => maxMessageSize,
    onheard: () => heard.anything++,
    onmessage: (data, name, bytes) => messages.push({ data, name, bytes }),
    onincoming: (incoming) => coming.push(incoming && [incoming.name, incoming.received, incoming.size]),
    onpong: (id) => heard.pongs.push(id),
    ongoodbye: () => heard.goodbye++,
    onerror: ({ code }) => errors.push(code),
    onhostile: () => heard.hostile++,
  });
  /** Frames the MainChannel sent. */
  const answers = () => here.sent.map((data) => readFrame(/** @type {ArrayBuffer} */ (data)));
  return { main, here, there, messages, errors, coming, heard, answers };
}

/** @param {string} text */
const utf8 = (text) => new TextEncoder().encode(text);

test("a ping is answered from the message handler, a pong and a goodbye are handed on", () => {
  const { here, answers, heard } = open();
  here.deliver(frame(KIND.ping, 7).buffer);
  assert.deepEqual(answers().map((answer) => [answer?.kind, answer?.id]), [[KIND.pong, 7]]);
  here.deliver(frame(KIND.pong, 9).buffer);
  here.deliver(frame(KIND.goodbye, 0).buffer);
  assert.deepEqual(heard, { anything: 3, hostile: 0, goodbye: 1, pongs: [9] });
});

test("what is not a frame, and kinds nobody knows, are errors that are answered, and a hundred are enough", () => {
  const { here, errors, answers, heard } = open();
  here.deliver("text");
  here.deliver(new ArrayBuffer(3));
  here.deliver(frame(7, 3).buffer);
  assert.deepEqual(errors, ["malformed-frame", "malformed-frame", "unknown-kind"]);
  assert.deepEqual(answers().map((answer) => answer && [answer.kind, new TextDecoder().decode(answer.payload)]), errors.map((code) => [KIND.problem, code]));
  for (let more = 0; more < 10_000; more++) here.deliver(frame(7, more).buffer);
  assert.deepEqual([errors.length, here.sent.length, heard.hostile], [100, 100, 1]);
});

test("a message size that holds no frame ends the channel's sending, not the page's breath", async () => {
  const { main, here } = open(5);
  let frames = 0;
  here.send = (/** @type {ArrayBufferView} */ { byteLength }) => {
    if (byteLength > 5) throw new TypeError("message too large"); // as browsers do
    frames += 1;
    assert.ok(frames < 100, "frames without content, for ever");
  };
  await assert.rejects(main.send("caw"), { code: "closed" });
  assert.equal(frames, 0);
});

test("random frames of a stranger: no exception, bounded errors, and a message behind them passes", async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = seeded(seed);
  for (let round = 0; round < 200; round++) {
    const { here, messages, errors } = open();
    for (let count = 0; count < 60; count++) {
      const bytes = Uint8Array.from({ length: below(random, 30) }, () => below(random, 256));
      if (bytes.length > 4) bytes.fill(0, 1, 4);
      here.deliver(bytes.buffer);
    }
    assert.ok(errors.length <= 100);
    for (const id of [0, 1, 2, 255]) here.deliver(frame(KIND.abort, id).buffer);
    for (let id = 0; id < 256; id++) here.deliver(frame(KIND.abort, id).buffer);
    here.deliver(frame(KIND.text, 999, utf8("after all"), FIRST | LAST).buffer);
    assert.equal(messages.at(-1)?.data, "after all", `SEED=${seed}`);
    await settle(1);
  }
});

test("a flood of tiny messages is handed on and nothing of it kept; a flood of pings does not pile up answers", () => {
  const { here, messages } = open();
  here.stuck = true;
  for (let count = 0; count < 50_000; count++) here.deliver(frame(KIND.text, count, utf8("x"), FIRST | LAST).buffer);
  assert.equal(messages.length, 50_000);
  for (let count = 0; count < 500_000; count++) here.deliver(frame(KIND.ping, count).buffer);
  assert.ok(here.bufferedAmount <= 512 * 1024 + 5, String(here.bufferedAmount));
});

test("sending stops at the high-water mark, goes on at the low one, and resolves when all was handed on", async () => {
  const { main, here, there } = open();
  here.stuck = true;
  let done = false;
  const sent = main.send(new Uint8Array(5 * 1024 * 1024)).then(() => (done = true));
  await settle(2);
  assert.ok(here.bufferedAmount >= 512 * 1024 && here.bufferedAmount < 600 * 1024, String(here.bufferedAmount));
  assert.ok(here.sent.every((data) => /** @type {ArrayBuffer} */ (data).byteLength <= 16_384), "no more than the other side takes");
  assert.equal(done, false);
  assert.equal(main.idle, false);
  for (let times = 0; times < 12; times++) here.drain();
  await sent;
  here.drain();
  assert.equal(main.idle, true);
  void there;
});

test("a Blob arrives as a Blob with its type and name, its size to the byte", async (t) => {
  const world = createWorld(t);
  const { one, two } = await pair(world);
  const arrives = once(two, "message");
  const bytes = Uint8Array.from({ length: 9 * 1024 * 1024 + 7 }, (_, at) => at);
  await one.send(new File([bytes], "film.mp4", { type: "video/mp4" }));
  const { data, name, channel } = await arrives;
  assert.deepEqual([data instanceof Blob, data.size, data.type, name, channel], [true, bytes.length, "video/mp4", "film.mp4", "crowfly"]);
  assert.deepEqual(Buffer.from(await data.arrayBuffer()), Buffer.from(bytes));
});

test("a Blob coming in is told with its size and how much is there, until it is whole, given up or refused", () => {
  const { here, coming, messages } = open();
  const begin = (/** @type {number} */ id) => here.deliver(frame(KIND.blob, id, encodeBlobHeader({ size: 10, type: "", name: "a" }), FIRST).buffer);
  const told = () => coming.splice(0);
  begin(1);
  here.deliver(frame(KIND.blob, 1, new Uint8Array(4)).buffer);
  here.deliver(frame(KIND.text, 2, utf8("between"), FIRST | LAST).buffer);
  here.deliver(frame(KIND.blob, 1, new Uint8Array(6), LAST).buffer);
  assert.deepEqual(told(), [["a", 0, 10], ["a", 4, 10], null]);
  assert.equal(messages.length, 2);
  begin(3);
  here.deliver(frame(KIND.abort, 3).buffer);
  begin(4);
  here.deliver(frame(KIND.blob, 4, new Uint8Array(11)).buffer);
  assert.deepEqual(told(), [["a", 0, 10], null, ["a", 0, 10], null]);
});

test("a size that is a lie is refused at the byte where it shows, and the sender is told", async () => {
  const { here, errors, answers } = open();
  here.deliver(frame(KIND.blob, 1, encodeBlobHeader({ size: 10, type: "", name: null }), FIRST).buffer);
  here.deliver(frame(KIND.blob, 1, new Uint8Array(10)).buffer);
  assert.deepEqual(errors, []);
  here.deliver(frame(KIND.blob, 1, new Uint8Array(1)).buffer);
  assert.deepEqual(errors, ["size-mismatch"]);
  assert.deepEqual([answers()[0]?.kind, answers()[0]?.id], [KIND.problem, 1]);
});

test("a message the other side refuses rejects its send, and the next one leaves", async () => {
  const { main, here, answers } = open();
  here.stuck = true;
  const refused = main.send(new Uint8Array(3 * 1024 * 1024));
  await settle(1);
  const id = answers()[0]?.id ?? 0;
  const problem = frame(KIND.problem, id, utf8("message-too-large"));
  here.deliver(problem.buffer);
  await assert.rejects(refused, { code: "message-too-large" });
  here.drain();
  await main.send("next");
  const kinds = answers().slice(-2).map((answer) => answer?.kind);
  assert.deepEqual(kinds, [KIND.abort, KIND.text]);
  here.deliver(problem.buffer); // about something long gone
});

test("what is no text, no bytes and no Blob is refused, not sent as something else", async () => {
  const { main, here } = open();
  for (const data of /** @type {any[]} */ ([5, {}, [1], null, undefined, true])) {
    await assert.rejects(main.send(data), { code: "invalid-field" });
  }
  assert.deepEqual(here.sent, []);
});

test("sending before it is open and after it is closed rejects, and closing rejects what was under way", async (t) => {
  const world = createWorld(t);
  world.webrtc.gathers = false;
  const { joined, one } = await pair(world);
  await assert.rejects(one.send("too early"), { code: "not-open" });
  for (const connection of world.webrtc.connections) connection.gather();
  await world.settle();
  assert.equal(one.states.channel, "open");
  for (const { channels } of world.webrtc.connections) for (const channel of channels) channel.stuck = true;
  const under = one.send(new Uint8Array(8 * 1024 * 1024)).catch((error) => error);
  await world.settle();
  const leaving = joined.leave();
  await world.pass(1_100);
  await leaving;
  assert.equal((await under).code, "closed");
  await assert.rejects(one.send("too late"), { code: "closed" });
  await assert.rejects(one.send(new Blob(["x"])), { code: "closed" });
  assert.throws(() => one.channel("late"), { code: "closed" });
});

test("further channels carry any option and raw messages, and the other side hears of them", async (t) => {
  const world = createWorld(t);
  const { one, two } = await pair(world);
  /** @type {RTCDataChannelInit[]} */
  const matrix = [{}, { ordered: false }, { maxRetransmits: 0 }, { ordered: false, maxPacketLifeTime: 100 }, { protocol: "sub" }];
  for (const init of matrix) {
    const arrives = once(two, "channel");
    const here = one.channel("label", init);
    const { channel: there } = await arrives;
    for (const end of [here, there]) {
      const { label, protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated } = end;
      assert.deepEqual({ label, protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated }, { label: "label", protocol: "", ordered: true, maxRetransmits: null, maxPacketLifeTime: null, negotiated: false, ...init });
    }
    const heard = collect(there, "message");
    await world.settle();
    for (const message of ["text", new Uint8Array([1, 2]).buffer, new Uint8Array([0, 3]).subarray(1), new Blob([new Uint8Array([4])])]) await here.send(message);
    await world.settle();
    assert.deepEqual(heard.map(({ data }) => (typeof data === "string" ? data : [...new Uint8Array(data)])), ["text", [1, 2], [3], [4]]);
    const closes = once(there, "close");
    here.close();
    await closes;
    await assert.rejects(here.send("x"), { code: "closed" });
  }
  assert.throws(() => one.channel("second main", { protocol: "crowfly.1" }), { code: "invalid-field" });
  const big = one.channel("big");
  await world.settle();
  await assert.rejects(big.send(new Uint8Array(262_145)), { code: "message-too-large" });
  await assert.rejects(big.send("ü".repeat(131_073)), { code: "message-too-large" });
});

test("what is written into a buffer after it was given to a further channel is not sent", async (t) => {
  const world = createWorld(t);
  const { one, two } = await pair(world);
  const came = once(two, "channel");
  const channel = one.channel("bulk");
  await world.settle();
  const arrives = once((await came).channel, "message");
  const bytes = new Uint8Array(10).fill(1);
  const sent = channel.send(bytes);
  bytes.fill(2);
  await sent;
  assert.deepEqual(new Uint8Array((await arrives).data), new Uint8Array(10).fill(1));
});

test("a further channel waits while the browser holds enough", async (t) => {
  const world = createWorld(t);
  const { one } = await pair(world);
  const channel = one.channel("bulk");
  await world.settle();
  const raw = /** @type {FakeDataChannel} */ (world.webrtc.connections.flatMap(({ channels }) => channels).find(({ label, remote }) => label === "bulk" && !remote));
  raw.stuck = true;
  for (let count = 0; count < 8; count++) await channel.send(new Uint8Array(131_072));
  let done = false;
  const ninth = channel.send(new Uint8Array(1)).then(() => (done = true));
  await world.settle();
  assert.equal(done, false);
  raw.drain();
  await ninth;
  assert.equal(done, true);
});

test("hundreds of channels of a stranger are not kept, and a second main channel is closed", async (t) => {
  const world = createWorld(t);
  const { two } = await pair(world);
  const opened = collect(two, "channel");
  const [waiting] = world.webrtc.connections;
  const strangers = Array.from({ length: 300 }, (_, at) => new FakeDataChannel(/** @type {any} */ (waiting), `c${at}`, at === 0 ? { protocol: "crowfly.1" } : {}, true));
  for (const channel of strangers) waiting?.incoming(channel);
  await world.settle();
  assert.equal(opened.length, 64);
  assert.equal(strangers[0]?.readyState, "closed");
  assert.equal(strangers.filter(({ readyState }) => readyState === "closed").length, 300 - 64);
  assert.equal(two.states.channel, "open");
});
