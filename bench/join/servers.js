/**
 * The servers under test, ours and PeerJS's, and one that serves the benchmark's pages with both clients. All on loopback, any free port.
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));

const CROWFLY = process.env.CROWFLY_BIN ?? here("../../target/release/crowfly");
const PEERJS = here("../node_modules/peer/dist/bin/peerjs.js");

/** What the pages' server hands out; the clients exactly as they are published. @type {[prefix: string, folder: string][]} */
const FOLDERS = [
  ["/client/", here("../../web/client/")],
  ["/peerjs/", here("../node_modules/peerjs/dist/")],
  ["/", here("pages/")],
];
const TYPES = { html: "text/html", js: "text/javascript" };

/** @type {Set<import("node:child_process").ChildProcess>} */
const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));

/** `crowfly serve`; pages of `origin` may use it. @param {string[]} [origins] */
export async function crowfly(origins = []) {
  const lines = start(CROWFLY, ["serve", "--listen", "127.0.0.1:0", "--relay-listen", "127.0.0.1:0", "--config", here("server.toml"), ...origins.flatMap((origin) => ["--origin", origin])]);
  const url = await firstMatch(lines, /(http:\/\/\S+)/);
  const stun = await firstMatch(lines, /STUN is at UDP (\S+)/);
  return { url, iceServers: [{ urls: [`stun:${stun}`] }] };
}

/** The server of npm `peer`, as its own command starts it. */
export async function peerjs() {
  // It takes no port 0; this one was free a moment ago.
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (probe.address());
  await new Promise((resolve) => probe.close(resolve));
  await firstMatch(start("node", [PEERJS, "--host", "127.0.0.1", "--port", String(port)]), /Started PeerServer/);
  return { url: `http://127.0.0.1:${port}` };
}

/** Serves the pages; its origin. */
export async function pages() {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const [prefix, folder] = /** @type {[string, string]} */ (FOLDERS.find(([prefix]) => pathname.startsWith(prefix)));
    try {
      const body = await readFile(folder + pathname.slice(prefix.length));
      const type = TYPES[/** @type {keyof TYPES} */ (pathname.split(".").pop())] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type, "cache-control": "no-store" }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref();
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return `http://127.0.0.1:${port}`;
}

/** @param {string} program @param {string[]} args */
function start(program, args) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  child.once("exit", () => children.delete(child));
  /** @type {string[]} */
  const seen = [];
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on("line", (line) => { seen.push(line); child.emit("said"); });
  return { child, seen };
}

/** The first group of the first line that matches, said already or to come. @param {ReturnType<typeof start>} started @param {RegExp} pattern */
async function firstMatch({ child, seen }, pattern) {
  for (;;) {
    const match = seen.map((line) => pattern.exec(line)).find(Boolean);
    if (match) return match[1];
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${seen.join("\n")}`);
    await Promise.race([once(child, "said"), once(child, "exit")]);
  }
}
