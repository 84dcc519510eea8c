// The native peer and WebRTC of others, without a server of ours between them: every kind of channel, text and bytes up to 256 KiB,
// either side offers. `crates/peer/examples/every_channel.rs` checks, the other side sends back what it hears.

import assert from "node:assert/strict";

import { LONG, scenario } from "./harness.js";
import { STACKS } from "./foreign/stacks.js";
import { Process, example } from "./process.js";

const PROGRAM = example("every_channel");
/** With `--long` a hundred with each, half of them in either role. */
const RUNS = LONG ? 50 : 2;
/** Fifty runs on a busy machine. */
const LIMIT = LONG ? 1_500_000 : 180_000;

/** What was agreed upon with each: what both can. Where one learns more, its line changes. */
const AGREED = {
  chromium: "16 channels, DTLS 1.3, SNAP false, I-DATA false, zero checksum false",
  firefox: "16 channels, DTLS 1.3, SNAP false, I-DATA true, zero checksum false",
  libdatachannel: "16 channels, DTLS 1.2, SNAP false, I-DATA false, zero checksum true",
  aiortc: "16 channels, DTLS 1.2, SNAP false, I-DATA false, zero checksum false",
};

for (const [name, prepare] of Object.entries(STACKS)) {
  for (const offers of [true, false]) {
    const [first, second] = offers ? ["a native peer", name] : [name, "a native peer"];
    scenario(`${first} offers, ${second} answers: every kind of channel`, async (stage) => {
      const other = await prepare(stage);
      for (let run = 0; run < RUNS; run += 1) await meet(stage, await other(!offers), offers, name);
      console.log(`${RUNS} of ${RUNS} runs`);
    }, { limit: LIMIT });
  }
}

/** @param {any} stage @param {import("./foreign/stacks.js").Other} other @param {boolean} offers @param {string} name */
async function meet(stage, other, offers, name) {
  const ours = new Process(stage, PROGRAM, [offers ? "offer" : "answer"]);
  if (offers) {
    ours.say(await other.description(await ours.line()));
  } else {
    ours.say(await other.description());
    await other.accept(await ours.line());
  }
  const found = await ours.line();
  assert.equal(await ours.exit(), 0);
  assert.equal(found, AGREED[/** @type {keyof typeof AGREED} */ (name)]);
  await other.end();
}
