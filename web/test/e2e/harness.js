/**
 * The end-to-end tests' stage: real browsers, the release binary, and nothing that waits for time to pass.
 *
 * `scenario(name, run)` is a test of node:test. It gives `run` a {@link Stage} on which to start servers and open pages, and
 * afterwards closes them all. A page that logged an error, failed a request, or asked another host for anything fails the
 * scenario it is in, unless the scenario said that this was to be expected.
 * @module
 */

import test, { after } from "node:test";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { closeBrowsers, openPage } from "./browsers.js";
import { Server } from "./server.js";

export { KINDS, PAIRS } from "./browsers.js";
export { Server } from "./server.js";

/** Far beyond what any scenario takes on a busy machine; what hangs ends here. */
const SCENARIO_LIMIT = 180_000;

/** Full-size runs, `cargo xtask test e2e --long`. */
export const LONG = process.env.CROWFLY_LONG === "1";

/** Where `--screenshots` wants pictures; null: nowhere. */
export const SCREENSHOTS = process.env.CROWFLY_SCREENSHOTS ?? null;

after(closeBrowsers);

/**
 * One test. `options.limit` in milliseconds.
 * @param {string} name
 * @param {(stage: Stage) => Promise<void>} run
 * @param {{ limit?: number }} [options]
 */
export function scenario(name, run, { limit = SCENARIO_LIMIT } = {}) {
  test(name, { timeout: limit }, async (context) => {
    const stage = new Stage(name);
    // A scenario that is over its limit is abandoned, not ended: tell what it saw, and free what it holds.
    context.signal.addEventListener("abort", () => void stage.explain().then(() => stage.close()));
    try {
      await run(stage);
      stage.check();
    } catch (error) {
      await stage.explain();
      throw error;
    } finally {
      await stage.close();
    }
  });
}

/** What one scenario has opened. */
class Stage {
  #name;
  /** @type {Server[]} */
  #servers = [];
  /** @type {import("./browsers.js").Visitor[]} */
  #visitors = [];
  /** @type {(() => unknown)[]} */
  #last = [];

  /** @param {string} name */
  constructor(name) {
    this.#name = name;
  }

  /**
   * Starts `crowfly serve` on free ports. @param {string[]} args further arguments
   * @returns {Promise<Server>}
   */
  async serve(...args) {
    const server = await Server.start(args);
    this.#servers.push(server);
    return server;
  }

  /**
   * Opens an address in a fresh profile of a browser.
   * @param {import("./browsers.js").Kind} kind @param {string} url
   * @param {import("./browsers.js").PageOptions} [options]
   */
  async visit(kind, url, options) {
    const visitor = await openPage(kind, url, options);
    this.#visitors.push(visitor);
    return visitor;
  }

  /** Runs when the scenario is over, however it ended. @param {() => unknown} run */
  finally(run) {
    this.#last.push(run);
  }

  /** Throws when a page had a problem nobody expected. */
  check() {
    const problems = this.#visitors.flatMap((visitor) => visitor.problems.map((problem) => `${visitor.kind}: ${problem}`));
    if (problems.length > 0) throw new Error(`a page had problems:\n  ${problems.join("\n  ")}`);
  }

  /** Pictures of the pages and what they and the servers logged, for whoever reads the failure. */
  async explain() {
    const folder = join(tmpdir(), "crowfly-e2e");
    await mkdir(folder, { recursive: true });
    for (const [index, visitor] of this.#visitors.entries()) {
      const file = join(folder, `${fileName(this.#name)}-${index + 1}-${visitor.kind}.png`);
      const taken = await visitor.photograph().then((picture) => writeFile(file, picture)).then(() => file, () => "no picture");
      console.error(`--- ${visitor.kind} (${taken})\n${visitor.log.join("\n")}`);
    }
    for (const server of this.#servers) console.error(`--- ${server.url}\n${server.log}`);
  }

  async close() {
    const closing = [
      ...this.#visitors.splice(0).map((visitor) => visitor.close()),
      ...this.#servers.splice(0).map((server) => server.stop()),
      ...this.#last.splice(0).map(async (run) => run()),
    ];
    const results = await Promise.allSettled(closing);
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }
}

/** @param {string} name */
function fileName(name) {
  return name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
}
