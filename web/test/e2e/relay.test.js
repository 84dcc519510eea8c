// Both sides through the relay and nothing else, over each transport to it, in each browser.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";

import { KINDS, PAIRS, scenario } from "./harness.js";
import { programs } from "./program.js";

/** @typedef {import("./browsers.js").Visitor} Visitor */

/** Firefox leaves loopback out of ICE unless it is told not to. */
const LOOPBACK = { "media.peerconnection.ice.loopback": true };

for (const [first, second] of PAIRS) {
  scenario(`${first} and ${second}, path "relay": with what the server hands out both talk through it, and only so`, async (stage) => {
    const { server, waiting, joining } = await programs(stage, first, second, { options: { path: "relay" }, page: { prefs: LOOPBACK } });
    await talk(waiting, joining);
    for (const page of [waiting, joining]) {
      assert.deepEqual(await page.run(pathOf), { kind: "relay", local: "relay", remote: "relay" });
      const types = await page.run(() => {
        const { local } = /** @type {any} */ (globalThis).peer.candidates;
        return local.map((/** @type {RTCIceCandidateInit} */ { candidate }) => / typ (\w+)/.exec(candidate ?? "")?.[1]).filter(Boolean);
      });
      assert.deepEqual([...new Set(types)], ["relay"], "no address of the peer's own is told");
    }
    assert.ok((await server.metric("crowfly_relay_datagrams_total")) > 0, "the server relayed");
    assert.equal(await server.metric("crowfly_relay_denied_total"), 0);
  });
}

const SECRET = "shared with the test";

for (const kind of KINDS) {
  scenario(`${kind}, path "relay" over TCP, with a credential that another application made`, async (stage) => {
    const server = await stage.serve("--relay-secret", SECRET);
    const { waiting, joining } = await programs(stage, kind, kind, { server, options: { path: "relay", iceServers: [await turn(server, "tcp")] }, page: { prefs: LOOPBACK } });
    await talk(waiting, joining);
    for (const page of [waiting, joining]) assert.equal((await page.run(pathOf)).kind, "relay");
    assert.ok((await server.metric("crowfly_relay_datagrams_total")) > 0);
  });

  scenario(`${kind}, path "direct": no allocation is made`, async (stage) => {
    const { server, waiting, joining } = await programs(stage, kind, kind, { options: { path: "direct" }, page: { prefs: LOOPBACK } });
    await talk(waiting, joining);
    for (const page of [waiting, joining]) assert.equal((await page.run(pathOf)).kind, "direct");
    assert.equal(await server.metric("crowfly_relay_allocated_total"), 0);
  });

  scenario(`${kind}: where both work the direct path is taken`, async (stage) => {
    const { server, ...both } = await programs(stage, kind, kind, { page: { prefs: LOOPBACK } });
    await talk(both.waiting, both.joining);
    for (const page of [both.waiting, both.joining]) assert.equal((await page.run(pathOf)).kind, "direct");
    // The relay would have worked. (Whether these two allocated there is open: a browser may stop gathering once it has a path.)
    const relayed = await programs(stage, kind, kind, { server, options: { path: "relay" }, page: { prefs: LOOPBACK } });
    await talk(relayed.waiting, relayed.joining);
    for (const page of [relayed.waiting, relayed.joining]) assert.equal((await page.run(pathOf)).kind, "relay");
    assert.ok((await server.metric("crowfly_relay_allocated_total")) > 0);
  });
}

/** A hundred messages each way. @param {Visitor} waiting @param {Visitor} joining */
async function talk(waiting, joining) {
  for (const page of [waiting, joining]) {
    await page.run(async () => {
      for (let number = 0; number < 100; number += 1) await /** @type {any} */ (globalThis).peer.send(`message ${number}`);
    });
  }
  const expected = Array.from({ length: 100 }, (_, number) => `message ${number}`);
  for (const page of [waiting, joining]) {
    await page.until(() => /** @type {any} */ (globalThis).messages.length === 100);
    assert.deepEqual(await page.run(() => /** @type {any} */ (globalThis).messages), expected);
  }
}

/** Runs in the page. */
async function pathOf() {
  const { path } = await /** @type {any} */ (globalThis).peer.stats();
  return { kind: path?.kind, local: path?.local.type, remote: path?.remote.type };
}

/** As coturn's documentation has it. @param {import("./server.js").Server} server @param {string} transport @returns {Promise<RTCIceServer>} */
async function turn(server, transport) {
  // Said a moment after where the page is.
  while (!/TURN is at .*\n/.test(server.log)) await new Promise(setImmediate);
  const at = /TURN is at UDP and TCP (\S+)/.exec(server.log)?.[1];
  const username = `${Math.floor(Date.now() / 1000) + 60}:somebody`;
  const credential = createHmac("sha1", SECRET).update(username).digest("base64");
  return { urls: `turn:${at}?transport=${transport}`, username, credential };
}
