// Shows that the stage itself can be trusted: the browsers connect here as they ship, and nothing that goes wrong in a page is missed.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";

import { PAIRS, KINDS, scenario } from "./harness.js";

/** A page of nothing, with the policy our own pages have. */
async function emptyPage(/** @type {any} */ stage) {
  const server = createServer((request, response) => {
    if (request.url !== "/") return void response.writeHead(404).end();
    response.setHeader("content-type", "text/html");
    response.setHeader("content-security-policy", "default-src 'none'; script-src 'self'; connect-src 'self' http://127.0.0.3:*; img-src data:");
    response.end('<!doctype html><html lang="en"><title>Empty</title><link rel="icon" href="data:,"><p>Empty</p></html>');
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stage.finally(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return `http://127.0.0.1:${port}/`;
}

/** Runs in the page: a connection whose candidates are collected. */
function connection() {
  const pc = new RTCPeerConnection();
  /** @type {RTCIceCandidateInit[]} */
  const candidates = [];
  pc.addEventListener("icecandidate", ({ candidate }) => candidate && candidates.push(candidate.toJSON()));
  pc.addEventListener("datachannel", ({ channel }) => channel.addEventListener("message", ({ data }) => channel.send(`${data}, heard`)));
  Object.assign(globalThis, { pc, candidates });
}

/** Runs in the page: the description once all candidates are there. */
async function describe(/** @type {RTCSessionDescriptionInit | null} */ remote) {
  const { pc, candidates } = /** @type {any} */ (globalThis);
  if (remote) await pc.setRemoteDescription(remote);
  else {
    const channel = pc.createDataChannel("hello");
    channel.addEventListener("open", () => channel.send("hello"));
    channel.addEventListener("message", (/** @type {MessageEvent} */ event) => Object.assign(globalThis, { heard: event.data }));
  }
  await pc.setLocalDescription();
  while (pc.iceGatheringState !== "complete") {
    await new Promise((resolve) => pc.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
  return { description: pc.localDescription.toJSON(), candidates };
}

for (const [first, second] of PAIRS) {
  scenario(`${first} reaches ${second} over candidates with hidden addresses`, async (stage) => {
    const url = await emptyPage(stage);
    const answerer = await stage.visit(first, url);
    const offerer = await stage.visit(second, url);
    await answerer.run(connection);
    await offerer.run(connection);
    const offer = await offerer.run(describe, null);
    const answer = await answerer.run(describe, offer.description);
    const hosts = [...offer.candidates, ...answer.candidates].filter((/** @type {any} */ { candidate }) => candidate.includes("typ host"));
    assert.ok(hosts.length >= 2, "both gather host candidates");
    for (const { candidate } of hosts) assert.match(candidate, / [0-9a-f-]{36}\.local /, "host candidates hide the address");
    await offerer.run(async (/** @type {any} */ remote) => {
      const { pc } = /** @type {any} */ (globalThis);
      await pc.setRemoteDescription(remote.description);
    }, answer);
    await offerer.until(() => /** @type {any} */ (globalThis).heard === "hello, heard");
  });
}

for (const kind of KINDS) {
  scenario(`${kind}: what goes wrong in a page fails its scenario`, async (stage) => {
    const url = await emptyPage(stage);
    const wrong = [
      { what: "a logged error", pattern: /console: all is lost/, make: () => console.error("all is lost") },
      {
        what: "an uncaught error",
        pattern: /error: .*thrown/,
        make: () => void queueMicrotask(() => { throw new Error("thrown"); }),
      },
      { what: "a refused policy", pattern: /CSP: connect-src http:\/\/127\.0\.0\.2/, make: () => fetch("http://127.0.0.2:9/").catch(() => {}) },
      {
        what: "a dead socket",
        pattern: /WebSocket|establish a connection/,
        make: () => new Promise((done) => new WebSocket(`ws://${location.host}/none`).addEventListener("error", done)),
      },
    ];
    for (const dialog of /** @type {const} */ (["alert", "confirm", "prompt"])) {
      const make = { alert: () => alert("stop"), confirm: () => confirm("stop"), prompt: () => void prompt("stop") }[dialog];
      wrong.push({ what: dialog, pattern: new RegExp(`dialog: ${dialog} stop`), make: /** @type {any} */ (make) });
    }
    wrong.push({
      what: "a request to another host",
      pattern: /request to another host: http:\/\/127\.0\.0\.3/,
      make: () => fetch(`http://127.0.0.3:${location.port}/`).catch(() => {}),
    });
    for (const { what, pattern, make } of wrong) {
      const visitor = await stage.visit(kind, url);
      assert.doesNotThrow(() => stage.check(), `before ${what}`);
      await visitor.run(make);
      await visitor.logged(pattern);
      assert.throws(() => stage.check(), pattern, what);
      visitor.problems.splice(0);
      await visitor.close();
    }
  });
}
