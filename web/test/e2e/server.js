/**
 * `crowfly serve` as a process: started on free ports, stopped politely or not, started again on the same port.
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export const BINARY = process.env.CROWFLY_BIN ?? fileURLToPath(new URL("../../../target/release/crowfly", import.meta.url));

/** A server that has not said where it listens by then does not start. */
const START_LIMIT = 20_000;

/** Ended with the tests, whatever becomes of them. @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));

export class Server {
  /** Where the page is, as the server printed it. */
  url = "";
  /** Everything it wrote. */
  log = "";
  #args;
  /** @type {import("node:child_process").ChildProcess | null} */
  #child = null;

  /** @param {string[]} args */
  constructor(args) {
    this.#args = args;
  }

  /** Starts on free ports; arguments given replace ours. @param {string[]} args */
  static async start(args) {
    const server = new Server(args);
    await server.#start("127.0.0.1:0");
    return server;
  }

  /** `host:port` of the page. */
  get host() {
    return new URL(this.url).host;
  }

  get pid() {
    return this.#child?.pid;
  }

  /** SIGTERM; resolves when it has ended, rejects when it did not end well. */
  async stop() {
    if (!this.#child) return;
    const code = await this.#end("SIGTERM");
    if (code !== 0) throw new Error(`the server ended with ${code} after SIGTERM:\n${this.log}`);
  }

  /** kill -9. */
  async kill() {
    await this.#end("SIGKILL");
  }

  /** Starts it again where it was. */
  async restart() {
    await this.#start(this.host);
  }

  /** The value of a counter or gauge of /metrics, summed over its labels, or over those that contain `label`. */
  async metric(/** @type {string} */ name, label = "") {
    const text = await (await fetch(new URL("/metrics", this.url))).text();
    const lines = text.split("\n").filter((line) => new RegExp(`^${name}[{ ]`).test(line) && line.includes(label));
    if (lines.length === 0) throw new Error(`/metrics has no ${name} ${label}:\n${text}`);
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  /** @param {string} listen */
  async #start(listen) {
    const args = ["serve", "--listen", listen];
    if (!this.#args.includes("--no-stun")) args.push("--relay-listen", "127.0.0.1:0");
    const child = spawn(BINARY, [...args, ...this.#args], { stdio: ["ignore", "pipe", "pipe"] });
    running.add(child);
    child.once("exit", () => running.delete(child));
    this.#child = child;
    this.url = await this.#printedUrl(child);
  }

  /** @param {import("node:child_process").ChildProcess} child @returns {Promise<string>} */
  #printedUrl(child) {
    const from = this.log.length;
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`the server printed no address:\n${this.log}`)), START_LIMIT);
      const read = (/** @type {Buffer} */ chunk) => {
        this.log += chunk;
        const url = this.log.slice(from).match(/https?:\/\/[\w.:[\]-]+\/?(?=\s)/);
        if (!url) return;
        clearTimeout(limit);
        resolve(url[0]);
      };
      child.stdout?.on("data", read);
      child.stderr?.on("data", read);
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}:\n${this.log}`)));
    });
  }

  /** @param {NodeJS.Signals} signal @returns {Promise<number | null>} */
  async #end(signal) {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exit = once(child, "exit");
    child.kill(signal);
    const [code] = await exit;
    return code;
  }
}
