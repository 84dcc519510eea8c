// What the way from the start page to an open chat costs: everything the browsers ask for, heads included, and nothing from anybody else.

import assert from "node:assert/strict";
import { Agent, get } from "node:http";

import { KINDS, scenario } from "./harness.js";
import { Person } from "./person.js";

/** Bytes: 60 KiB for the page and five for sealing. What needs more must first find what can go. */
const MOST = 66_560;

/** Paths a page asked for, in order; to anybody but its server is an error of the harness. */
function watch(/** @type {Person} */ person, /** @type {string} */ host) {
  /** @type {Set<string>} */
  const paths = new Set();
  /** @type {string[]} */
  const strangers = [];
  person.page.on("request", (request) => {
    const url = new URL(request.url());
    if (!/^(http|ws)/.test(url.protocol)) return;
    if (url.host === host) paths.add(url.pathname);
    else strangers.push(url.href);
  });
  return { paths, strangers };
}

/** Bytes of an answer over the wire: status line, head and body, as who can unpack Brotli gets it. */
async function weigh(/** @type {Agent} */ agent, /** @type {URL} */ url) {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, headers: { "accept-encoding": "gzip, deflate, br" } }, (response) => {
      assert.equal(response.statusCode, 200, url.pathname);
      const { socket } = response;
      const before = weighed.get(socket) ?? 0;
      response.resume();
      response.once("end", () => {
        weighed.set(socket, socket.bytesRead);
        resolve(socket.bytesRead - before);
      });
    });
    request.once("error", reject);
  });
}
/** What each connection had brought before. @type {WeakMap<object, number>} */
const weighed = new WeakMap();

for (const kind of KINDS) {
  scenario(`${kind}: from the start page to an open chat, at most ${MOST} bytes, from this server alone`, async (stage) => {
    const server = await stage.serve();
    const [ann, ben] = [await Person.at(stage, kind, "about:blank"), await Person.at(stage, kind, "about:blank")];
    const seen = [ann, ben].map((person) => watch(person, server.host));
    for (const person of [ann, ben]) person.visitor.expect(/to another host/); // counted here
    await ann.page.goto(server.url);
    await ben.page.goto(await ann.create());
    await Promise.all([ann.connected(), ben.connected()]);
    await ann.say("hello");
    await ben.hears(1);
    assert.deepEqual(seen.flatMap(({ strangers }) => strangers), []);

    // A browser without a window asks for no manifest and no icon; one with a window does.
    const html = await (await fetch(server.url)).text();
    const linked = [...html.matchAll(/<(?:link|script)[^>]* (?:href|src)="(\/[^"]+)"/g)].map(([, path = ""]) => path);
    // Words are drawn, or looked up, only where a code is made or typed: who comes by the link needs none.
    const words = ["/client/code.js", "/client/words.js"];
    assert.deepEqual(words.filter((path) => seen[1]?.paths.has(path)), []);
    const paths = new Set(["/", ...linked, ...seen.flatMap((one) => [...one.paths])]);
    for (const path of words) assert.ok(paths.delete(path), path);
    paths.delete("/ws");
    assert.ok(paths.size > 40, `only ${paths.size} files were seen`);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    stage.finally(() => agent.destroy());
    /** @type {[string, number][]} */
    const weights = [];
    for (const path of paths) weights.push([path, await weigh(agent, new URL(path, server.url))]);
    const sum = weights.reduce((total, [, bytes]) => total + bytes, 0);
    const list = weights.sort(([, one], [, other]) => other - one).map(([path, bytes]) => `${String(bytes).padStart(6)} ${path}`);
    assert.ok(sum <= MOST, `${sum} bytes in ${paths.size} answers:\n${list.join("\n")}`);
    console.log(`${sum} bytes in ${paths.size} answers`);
  });
}
