// The page's pure parts: states to a phase, a stranger's file name, SDP and candidates in words; and what the page loads at once.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

import { safeFileName } from "../app/filename.js";
import { phaseOf } from "../app/phase.js";
import { problemOf } from "../app/problem.js";
import { explainCandidate, parseCandidate } from "../app/steps/candidate.js";
import { explainSdp } from "../app/steps/sdp.js";
import { STEP_TEXTS } from "../app/steps/texts.js";
import { StepList } from "../client/steps.js";

test("a stranger's file name never leads anywhere", () => {
  for (const [given, safe] of /** @type {[unknown, string][]} */ ([
    ["holiday.jpg", "holiday.jpg"],
    ["../../etc/passwd", "_.._etc_passwd"],
    ["C:\\windows\\win.ini", "C__windows_win.ini"],
    ["/absolute", "_absolute"],
    [".bashrc", "bashrc"],
    ["trailing. . ", "trailing"],
    ["NUL", "_NUL"],
    ["com1.txt", "_com1.txt"],
    ["a\0b\u001b[31m\n.txt", "ab[31m.txt"],
    ["\u202Egnp.exe", "gnp.exe"],
    ["\ud800.txt", "_.txt"],
    ["..", "file"],
    ["", "file"],
    [null, "file"],
    [{ toString: null }, "file"],
  ])) assert.equal(safeFileName(given), safe);
  const long = safeFileName(`${"ä".repeat(9000)}.tar`);
  assert.ok([...long].length <= 120);
  assert.equal(safeFileName(`${"x".repeat(500)}.pdf`).slice(-5), "x.pdf");
  assert.ok([...safeFileName("CON.".padEnd(500, "x"))].length <= 121);
});

test("a phase for every state the two machines can be in", () => {
  const open = { signaling: "stable", gathering: "complete", ice: "connected", connection: "connected", channel: "open", liveness: "alive" };
  for (const [change, id] of /** @type {[object, string][]} */ ([
    [{}, "connected"],
    [{ connection: "new", channel: "none" }, "connecting"],
    [{ connection: "connecting", channel: "connecting" }, "connecting"],
    [{ connection: "disconnected", channel: "connecting" }, "connecting"],
    [{ connection: "disconnected" }, "recovering"],
    [{ liveness: "silent" }, "silent"],
    [{ connection: "failed" }, "failed"],
    [{ connection: "failed", channel: "connecting" }, "failed"],
    [{ channel: "closing" }, "closed"],
    [{ connection: "closed", channel: "closed" }, "closed"],
  ])) assert.equal(phaseOf(/** @type {any} */ ({ ...open, ...change })).id, id, JSON.stringify(change));
  assert.equal(phaseOf(null).id, "waiting");
});

test("a problem is told in sentences, whatever was thrown", () => {
  assert.deepEqual(problemOf({ code: "x", message: "cannot reach it", hint: "Try later" }), { code: "x", text: "Cannot reach it.", advice: "Try later." });
  assert.match(problemOf({ code: "room-full", message: "both seats" }).text, /two people/);
  for (const thrown of [null, undefined, "text", 7, {}, new Error("")]) assert.equal(problemOf(thrown).text, "Something went wrong.");
});

test("candidates are taken apart, and what is none is not mistaken for one", () => {
  const local = parseCandidate("candidate:1 1 udp 2122260223 6f3c1d0e-8d7a-4d47-9f3b-2f0e4a8c7c11.local 50000 typ host generation 0 ufrag 5xWq");
  assert.deepEqual(local, { type: "host", protocol: "udp", address: "6f3c1d0e-8d7a-4d47-9f3b-2f0e4a8c7c11.local", port: "50000", priority: 2122260223, related: null });
  assert.match(JSON.stringify(explainCandidate(/** @type {any} */ (local))), /mDNS.*type preference 126/);
  const reflexive = parseCandidate("a=candidate:2 1 UDP 1686052607 203.0.113.7 61002 typ srflx raddr 192.0.2.9 rport 50000");
  assert.equal(reflexive?.related, "192.0.2.9 port 50000");
  assert.equal(reflexive?.protocol, "udp");
  for (const line of ["", "candidate:", "candidate:1 1 udp 1 a 1", "x ".repeat(5000), "typ host"]) assert.equal(parseCandidate(line), null, line);
});

test("every line that browsers write for data channels is explained", () => {
  const lines = [
    "v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "a=extmap-allow-mixed", "a=msid-semantic: WMS",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=ice-ufrag:5xWq", "a=ice-pwd:Vn5", "a=ice-options:trickle",
    "a=fingerprint:sha-256 4A", "a=setup:actpass", "a=setup:active", "a=mid:0", "a=sctp-port:5000", "a=max-message-size:262144", "a=sendrecv",
    "a=candidate:1 1 udp 1 192.0.2.2 1 typ host", "a=end-of-candidates",
  ];
  for (const { line, meaning, reference } of explainSdp(`${lines.join("\r\n")}\r\n`)) assert.ok(meaning && /^RFC \d+/.test(reference), line);
  assert.deepEqual(explainSdp("a=unheard-of\n"), [{ line: "a=unheard-of", meaning: "", reference: "" }]);
});

test("every step of both roles has its texts, and no text is left over", () => {
  const steps = [...new StepList("PEER1", false, () => false).list(), ...new StepList("PEER2", false, () => false).list()].map(({ id }) => id);
  assert.deepEqual(steps.sort(), Object.keys(STEP_TEXTS).sort());
});

test("the page asks at once for every module it needs at once, and for no other", async () => {
  const root = new URL("../", import.meta.url);
  const html = await readFile(new URL("app/index.html", root), "utf8");
  const asked = [...html.matchAll(/<(?:link rel="modulepreload" href|script type="module" src)="\/([^"]+)"/g)].map(([, path]) => path);
  /** @type {Set<string>} */
  const needed = new Set();
  /** @param {string} path */
  const follow = async (path) => {
    if (needed.has(path)) return;
    needed.add(path);
    const source = await readFile(new URL(path, root), "utf8");
    for (const [, to] of source.matchAll(/^(?:import|export) (?:[^;]*? from )?"(\.[^"]+)";/gm)) {
      await follow(new URL(/** @type {string} */ (to), new URL(path, root)).href.slice(root.href.length));
    }
  };
  await follow("app/main.js");
  assert.deepEqual(asked.sort(), [...needed].sort());
});

test("the icon in the page is the icon in the file", async () => {
  const read = (/** @type {string} */ path) => readFile(new URL(`../app/${path}`, import.meta.url), "utf8");
  const [, inline = ""] = /rel="icon" [^>]*href="data:image\/svg\+xml,([^"]+)"/.exec(await read("index.html")) ?? [];
  const plain = (/** @type {string} */ svg) => svg.replace(/\s+/g, " ").replaceAll("> <", "><").replaceAll('"', "'").trim();
  assert.equal(decodeURIComponent(inline), plain(await read("icons/crow.svg")));
});
