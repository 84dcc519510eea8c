/**
 * Whatever the order in which a description and candidates arrive, duplicates included: no candidate is added before a remote
 * description (the fake throws), each is added exactly once, in the order they came, and the buffer is empty afterwards. With nothing
 * ready ahead, as rooms do it (gathered ahead: candidates in the offer, a provisional answer), and with a person pressing every step.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { Negotiation } from "../client/negotiation.js";
import { Spare } from "../client/spare.js";
import { StateBoard } from "../client/states.js";
import { Trace } from "../client/trace.js";
import { below, permutations, seeded, shuffled } from "./fake/random.js";
import { FakeWebRTC, candidateOf } from "./fake/webrtc.js";
import { settle } from "./fake/world.js";

const REMOTE = "remote";
const SDP = `v=0\r\na=ice-ufrag:${REMOTE}\r\n`;
/** @typedef {import("../client/payload.js").Payload} Payload */

/** @typedef {"plain" | "prepared" | "steps"} Mode */
const MODES = /** @type {const} */ (["plain", "prepared", "steps"]);

/** @param {"PEER1" | "PEER2"} role @param {Mode} [mode] */
async function begin(role, mode = "plain") {
  const webrtc = new FakeWebRTC();
  /** @type {any} */ (globalThis).RTCPeerConnection = webrtc.RTCPeerConnection;
  const trace = new Trace({ session: "s", role });
  const board = new StateBoard(role, trace, () => {});
  const spare = new Spare();
  if (mode === "prepared" && role === "PEER2") spare.prepare([]);
  /** @type {any[]} */ const sent = [];
  /** @type {unknown[]} */ const failures = [];
  const negotiation = new Negotiation({
    role,
    automatic: mode !== "steps",
    label: "crowfly",
    protocol: "crowfly.1",
    spare,
    trace,
    board,
    signal: (payload) => sent.push(payload),
    onchannel: () => {},
    onsteps: () => {},
    onfailure: (error) => failures.push(error),
  });
  negotiation.useServers([]);
  negotiation.start();
  if (mode === "prepared" && role === "PEER1") await settle(8); // gathers before there is anybody to tell
  negotiation.setOnline(true);
  if (mode === "steps") await pressAll(negotiation);
  if (role === "PEER1") await settle(8);
  return { negotiation, sent, failures, webrtc, trace };
}

/** As somebody who presses whatever may be pressed, until nothing may. @param {Negotiation} negotiation */
async function pressAll(negotiation) {
  for (let step; (step = negotiation.steps.find(({ state }) => state === "ready")); ) {
    await negotiation.press(step.id);
    await settle(2);
  }
}

/** @param {number} port @returns {any} */
const candidate = (port) => ({ kind: "candidates", candidates: [candidateOf(REMOTE, port)], complete: false });
/** @type {any} */ const end = { kind: "candidates", candidates: [], complete: true };
/** @type {any} */ const answer = { kind: "description", description: { type: "answer", sdp: SDP } };
/** @type {any} */ const offer = { kind: "description", description: { type: "offer", sdp: SDP } };

/** What a payload's candidates are called in order of arrival, each once. @param {Payload[]} payloads */
function expected(payloads) {
  const names = payloads.flatMap((payload) => (payload.kind === "candidates" ? [...payload.candidates.map(({ candidate }) => candidate), ...(payload.complete ? [""] : [])] : []));
  return [...new Set(names)];
}

/**
 * @param {"PEER1" | "PEER2"} role @param {Mode} mode @param {any[]} arrivals
 * @param {(negotiation: Negotiation, step: number) => Promise<void>} pause what happens between two arrivals
 */
async function run(role, mode, arrivals, pause) {
  const { negotiation, sent, failures, webrtc } = await begin(role, mode);
  const [connection] = webrtc.connections;
  if (mode === "prepared" && role === "PEER1") assert.match(sent[0].description.sdp, /^a=candidate:/m);
  for (const [step, payload] of arrivals.entries()) {
    negotiation.receive(structuredClone(payload));
    await pause(negotiation, step);
  }
  if (mode === "steps") await pressAll(negotiation);
  await settle(8);
  if (mode === "prepared") {
    // What waits for the path, and for the channel, waits no longer.
    if (role === "PEER2") assert.equal(connection?.signalingState, "have-local-pranswer");
    connection?.become("connected");
    negotiation.opened();
    await settle(8);
  }
  const [used] = webrtc.connections;
  const label = [mode, ...arrivals.map((payload) => payload.description?.type ?? payload.candidates[0]?.candidate.slice(10, 11) ?? "end")].join(" ");
  assert.deepEqual(failures, [], label);
  const heard = role === "PEER2" ? arrivals.slice(arrivals.indexOf(offer)) : arrivals;
  assert.deepEqual(used?.added.map(({ candidate }) => candidate), expected(heard), label);
  assert.deepEqual(negotiation.candidates.buffered, [], label);
  assert.equal(used?.signalingState, "stable", label);
  const problems = sent.filter(({ kind }) => kind === "problem").map(({ code }) => code);
  negotiation.close();
  return problems;
}

const immediately = async () => {};
const unhurried = () => settle(4);
/** A person who presses as soon as something may be pressed. @param {Negotiation} negotiation */
const pressing = (negotiation) => pressAll(negotiation);

/** @param {Mode} mode */
const pauses = (mode) => (mode === "steps" ? [immediately, pressing] : [immediately, unhurried]);

for (const mode of MODES) {
  test(`PEER1, ${mode}: every order of the answer and four candidates`, async () => {
    for (const arrivals of permutations([answer, candidate(1), candidate(2), candidate(3), candidate(4)])) {
      for (const pause of pauses(mode)) assert.deepEqual(await run("PEER1", mode, arrivals, pause), []);
    }
  });

  test(`PEER1, ${mode}: every order with a candidate and the answer twice, and the end`, async () => {
    for (const arrivals of permutations([answer, answer, candidate(1), candidate(1), candidate(2), end])) {
      assert.deepEqual(await run("PEER1", mode, arrivals, immediately), ["repeated-answer"]);
    }
  });

  test(`PEER2, ${mode}: every order; what comes before the offer is refused, what comes behind is added once`, async () => {
    for (const arrivals of permutations([offer, candidate(1), candidate(2), candidate(3), candidate(3)])) {
      const early = arrivals.indexOf(offer);
      for (const pause of pauses(mode)) {
        assert.deepEqual(await run("PEER2", mode, arrivals, pause), Array(early).fill("candidate-before-offer"));
      }
    }
  });
}

test("both roles: long random arrivals in random batches, seeded", async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = seeded(seed);
  for (let round = 0; round < 150; round++) {
    const role = round % 2 === 0 ? "PEER1" : "PEER2";
    const mode = MODES[below(random, MODES.length)] ?? "plain";
    const description = role === "PEER1" ? answer : offer;
    const batches = Array.from({ length: 2 + below(random, 12) }, () => ({
      kind: "candidates",
      candidates: Array.from({ length: below(random, 5) }, () => candidateOf(REMOTE, below(random, 20))),
      complete: random() < 0.1,
    }));
    const arrivals = shuffled(random, [description, ...batches]);
    const between = mode === "steps" ? pressing : unhurried;
    const pause = (/** @type {Negotiation} */ negotiation) => (random() < 0.3 ? between(negotiation) : Promise.resolve());
    await run(role, mode, arrivals, pause).catch((error) => {
      throw new Error(`SEED=${seed}, round ${round}`, { cause: error });
    });
  }
});

test("descriptions that do not fit are refused with a problem, never an exception", async () => {
  /** @type {[ "PEER1" | "PEER2", any[], string[]][]} */
  const cases = [
    ["PEER1", [offer], ["unexpected-offer"]],
    ["PEER2", [answer], ["unexpected-answer"]],
    ["PEER2", [candidate(1)], ["candidate-before-offer"]],
    ["PEER2", [offer, offer], ["repeated-offer"]],
    ["PEER2", [offer, { kind: "description", description: { type: "offer", sdp: `${SDP}a=x\r\n` } }], ["unexpected-offer"]],
    ["PEER2", [offer, answer], ["unexpected-answer"]],
    ["PEER1", [answer, answer], ["repeated-answer"]],
  ];
  for (const [role, arrivals, codes] of cases) {
    const { negotiation, sent, failures, trace } = await begin(role);
    for (const payload of arrivals) negotiation.receive(payload);
    await settle();
    assert.deepEqual(sent.filter(({ kind }) => kind === "problem").map(({ code }) => code), codes);
    assert.ok(trace.records.some(({ name, detail }) => name === "refused" && detail?.code === codes[0]), "the trace has a note");
    assert.deepEqual(failures, []);
    negotiation.close();
  }
});

test("once the first negotiation is over a repeated answer is refused, and a repeated offer is answered again", async () => {
  const { negotiation: asker, sent: asked } = await begin("PEER1");
  for (let times = 0; times < 2; times++) {
    asker.receive(answer);
    await settle();
  }
  assert.equal(asked.at(-1)?.code, "repeated-answer");
  asker.close();

  const { negotiation, sent } = await begin("PEER2");
  negotiation.receive(offer);
  await settle();
  const [description, ...candidates] = structuredClone(sent);
  negotiation.receive(offer);
  await settle();
  assert.equal(description.description.type, "answer");
  assert.deepEqual(sent.slice(1 + candidates.length), [description, ...candidates]);
  negotiation.close();
});

test("a flood of one offer is not answered by a flood, be it the first or a later one", async () => {
  const { negotiation, sent } = await begin("PEER2");
  const answers = () => sent.filter(({ description }) => description?.type === "answer").length;
  for (const sdp of [SDP, "v=0\r\na=ice-ufrag:fresh\r\n"]) {
    const before = answers();
    for (let times = 0; times < 1_000; times++) {
      negotiation.receive(/** @type {any} */ ({ kind: "description", description: { type: "offer", sdp } }));
      if (times === 0) await settle();
    }
    assert.equal(answers() - before, 11);
  }
  negotiation.close();
});

test("candidates behind a later offer or answer wait until it is in place", async () => {
  const fresh = "v=0\r\na=ice-ufrag:fresh\r\n";
  /** @type {any} */ const behind = { kind: "candidates", candidates: [candidateOf("fresh", 1)], complete: true };
  for (const role of /** @type {const} */ (["PEER1", "PEER2"])) {
    for (const type of /** @type {const} */ (["offer", "answer"])) {
      const { negotiation, sent, webrtc } = await begin(role);
      negotiation.receive(role === "PEER1" ? answer : offer);
      await settle(8);
      const [connection] = webrtc.connections;
      if (type === "answer") negotiation.restart();
      await settle(8);
      if (type === "answer") negotiation.receive(behind); // even before it
      negotiation.receive({ kind: "description", description: { type, sdp: fresh } });
      negotiation.receive(behind);
      await settle(8);
      assert.deepEqual(sent.filter(({ kind }) => kind === "problem"), [], `${role} ${type}`);
      assert.deepEqual(connection?.added.map(({ usernameFragment }) => usernameFragment), ["fresh", undefined], `${role} ${type}`);
      negotiation.close();
    }
  }
});

test("a description the browser rejects fails the handshake, by an error and not an exception", async () => {
  const { negotiation, failures } = await begin("PEER2");
  negotiation.receive({ kind: "description", description: { type: "offer", sdp: "nonsense" } });
  await settle();
  assert.equal(failures.length > 0, true);
  assert.match(String(failures[0]), /p2-set-remote-offer/);
  negotiation.close();
});
