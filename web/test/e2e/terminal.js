/**
 * Somebody at a terminal: `crowfly chat` as a process, its lines in and out.
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";

import { BINARY } from "./server.js";

/** What does not come by then does not come. */
const PATIENCE = 30_000;

export class Terminal {
  /** What the other side said, whole lines. */
  #out = "";
  #err = "";
  /** @type {import("node:child_process").ChildProcessWithoutNullStreams} */ #child;
  /** @type {Set<() => void>} */ #watching = new Set();

  /** @param {string[]} args */
  constructor(args) {
    const child = spawn(BINARY, args, { stdio: "pipe" });
    this.#child = child;
    const changed = () => this.#watching.forEach((look) => look());
    child.stdout.on("data", (chunk) => {
      this.#out += chunk;
      changed();
    });
    child.stderr.on("data", (chunk) => {
      this.#err += chunk;
      changed();
    });
    child.once("exit", changed);
    process.once("exit", () => child.kill("SIGKILL"));
  }

  /**
   * Makes a room, or joins one by its link.
   * @param {any} stage @param {string} server @param {string} [link]
   */
  static at(stage, server, link) {
    const terminal = new Terminal(["chat", "--server", server, ...(link === undefined ? [] : [link])]);
    stage.finally(() => terminal.end());
    return terminal;
  }

  /** The link it printed. */
  async link() {
    const [, link = ""] = await this.tells(/^link {2}(\S+)$/m);
    return link;
  }

  /** Until stderr has this. @param {RegExp} pattern @returns {Promise<RegExpMatchArray>} */
  tells(pattern) {
    return this.#until(() => this.#err.match(pattern), `stderr to have ${pattern}`);
  }

  /** Until so many lines of the other side were heard. @param {number} count */
  async hears(count) {
    return this.#until(() => (this.heard.length >= count ? this.heard : null), `${count} lines`);
  }

  get heard() {
    return this.#out.split("\n").slice(0, -1);
  }

  /** @param {string} text */
  say(text) {
    this.#child.stdin.write(`${text}\n`);
  }

  /** Its stdin ends; the exit code. */
  async leave() {
    this.#child.stdin.end();
    return this.exit();
  }

  /** @returns {Promise<number | null>} */
  async exit() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
    return this.#child.exitCode;
  }

  /** kill -9. */
  kill() {
    this.#child.kill("SIGKILL");
  }

  end() {
    if (this.#child.exitCode === null) this.#child.kill("SIGKILL");
  }

  /**
   * @template T
   * @param {() => T | null} look @param {string} what
   * @returns {Promise<T>}
   */
  #until(look, what) {
    return new Promise((resolve, reject) => {
      const finish = () => {
        clearTimeout(limit);
        this.#watching.delete(check);
      };
      const check = () => {
        const seen = look();
        if (seen === null && this.#child.exitCode === null) return;
        finish();
        if (seen === null) reject(new Error(`crowfly chat ended with ${this.#child.exitCode}, awaited ${what}:\n${this.#err}`));
        else resolve(seen);
      };
      const limit = setTimeout(() => {
        finish();
        reject(new Error(`crowfly chat: awaited ${what}:\n${this.#err}\n${this.#out}`));
      }, PATIENCE);
      this.#watching.add(check);
      check();
    });
  }
}
