/**
 * The trace: its file, its bounds, its order; and that it holds no content.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { CAPACITY, Trace } from "../client/trace.js";
import { pair } from "./fake/pair.js";
import { collect, createWorld } from "./fake/world.js";

test("the file is JSON Lines: a header and a record a line, as docs/trace.md has it", async (t) => {
  const world = createWorld(t);
  const { one } = await pair(world);
  const text = one.trace.toJSONLines();
  assert.ok(text.endsWith("\n"));
  const [header, ...records] = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual({ ...header, began: "" }, { format: "crowfly-trace", version: 1, session: one.session, peer: "PEER1", began: "", dropped: 0 });
  assert.ok(!Number.isNaN(Date.parse(header.began)));
  assert.deepEqual(records, JSON.parse(JSON.stringify(one.trace.records)));
  const documented = readFileSync(new URL("../../docs/trace.md", import.meta.url), "utf8");
  const shown = [...documented.matchAll(/```json\n([^]*?)\n```/g)].map(([, json = ""]) => Object.keys(JSON.parse(json)));
  assert.deepEqual(shown[0], Object.keys(header));
  for (const record of records) assert.deepEqual(Object.keys(record).filter((key) => ![...(shown[1] ?? []), "detail"].includes(key)), []);
});

test("every record's kind and name is in docs/trace.md", async (t) => {
  const world = createWorld(t);
  const { joined, one, two } = await pair(world);
  await one.send("x");
  world.server.kill();
  await world.pass(1_000);
  world.server.mode = "up";
  await world.pass(5_000);
  one.channel("further");
  await world.settle();
  await joined.leave();
  await world.settle();
  const rows = readFileSync(new URL("../../docs/trace.md", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => /^\| `(call|event|state|send|message|note|error)`/.test(line))
    .map((line) => line.split("|"));
  assert.equal(rows.length, 7);
  for (const { kind, name } of [...one.trace.records, ...two.trace.records]) {
    assert.ok(rows.some(([, kinds, names]) => kinds?.includes(`\`${kind}\``) && names?.includes(`\`${name}\``)), `${kind} ${name}`);
  }
});

test("records keep their order: a call stands where it was made, and is told of when it has ended", async () => {
  /** @type {string[]} */ const told = [];
  const trace = new Trace({ session: "s", role: "PEER1", onrecord: ({ name }) => told.push(name) });
  let finish = () => {};
  const slow = trace.call(1, "slow", undefined, () => new Promise((resolve) => (finish = () => resolve(7))));
  trace.note(1, "event", "meanwhile");
  assert.deepEqual(trace.records.map(({ name }) => name), ["slow", "meanwhile"]);
  assert.equal(trace.records[0]?.ms, undefined);
  finish();
  assert.equal(await slow, 7);
  assert.deepEqual(told, ["meanwhile", "slow"]);
  assert.ok(/** @type {number} */ (trace.records[0]?.ms) >= 0);
  assert.throws(() => trace.call(1, "thrown", { a: 1 }, () => {
    throw new RangeError("x");
  }), RangeError);
  assert.deepEqual(trace.records.at(-1)?.detail, { a: 1, error: "RangeError" });
  await assert.rejects(trace.call(1, "rejected", undefined, () => Promise.reject(new TypeError("x"))), TypeError);
  assert.deepEqual(trace.records.at(-1)?.detail, { error: "TypeError" });
});

test("it is bounded: the oldest go, and are counted", () => {
  const trace = new Trace({ session: "s", role: "PEER1" });
  for (let count = 0; count < 3 * CAPACITY; count++) {
    trace.note(null, "note", String(count));
    if (trace.records.length > CAPACITY) assert.fail("too many");
  }
  assert.equal(trace.dropped + trace.records.length, 3 * CAPACITY);
  assert.equal(trace.records[0]?.name, String(trace.dropped));
  assert.equal(JSON.parse(trace.toJSONLines().split("\n")[0] ?? "").dropped, trace.dropped);
});

test("it holds no content and no credentials, and a flood of messages does not fill it", async (t) => {
  const world = createWorld(t);
  const { one, two } = await pair(world, { iceServers: [{ urls: "turn:relay.example", username: "user", credential: "s3cret" }] });
  const records = collect(two, "trace");
  for (let count = 0; count < 1_000; count++) await one.send("the words themselves");
  await world.settle();
  for (const text of [one.trace.toJSONLines(), two.trace.toJSONLines()]) {
    assert.ok(!text.includes("words"));
    assert.ok(!text.includes("s3cret"));
    assert.ok(text.includes("turn:relay.example"));
  }
  assert.ok(records.length <= 110, String(records.length));
});
