/**
 * Other programs on the stage, by the lines they say and hear.
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const EXAMPLES = process.env.CROWFLY_EXAMPLES ?? fileURLToPath(new URL("../../../target/debug/examples", import.meta.url));

/** Where an example of `crates/peer` is as a program. @param {string} name */
export const example = (name) => join(EXAMPLES, name);

/** A process that says and hears lines. */
export class Process {
  #child;
  #lines;
  #log = "";

  /** @param {any} stage @param {string} program @param {string[]} args */
  constructor(stage, program, args) {
    const child = spawn(program, args, { stdio: "pipe" });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.on("data", (chunk) => (this.#log += chunk));
    // Who ends early does not hear what it is told, and its exit code says so.
    child.stdin.on("error", () => {});
    stage.finally(() => child.kill("SIGKILL"));
  }

  /** The next line it says. */
  async line() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`it ended with ${await this.exit()}:\n${this.#log}`);
    return value;
  }

  /** @param {string} text */
  say(text) {
    this.#child.stdin.write(`${text}\n`);
  }

  async exit() {
    this.#child.stdin.end();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
    return this.#child.exitCode;
  }
}
