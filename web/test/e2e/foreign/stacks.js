/**
 * Who the native peer is tried with: browsers, and libraries of others in processes of their own. Each takes either role.
 * @module
 */

import { fileURLToPath } from "node:url";

import { KINDS } from "../browsers.js";
import { Process } from "../process.js";
import { CHANNELS, echo } from "./echo.js";

/**
 * @typedef {{ description: (offer?: string) => Promise<string>, accept: (answer: string) => Promise<void>, end: () => Promise<void> }} Other
 *   `description` gives an answer to an offer, or an offer.
 */

const here = (/** @type {string} */ file) => fileURLToPath(new URL(file, import.meta.url));

/** Programs in Python run in the environment that `cargo xtask setup` makes. */
const PYTHON = process.env.AIORTC_PYTHON ?? here("../../../../target/aiortc/bin/python");

/** Each makes another side. @type {Record<string, (stage: any) => Promise<(offers: boolean) => Promise<Other>>>} */
export const STACKS = {
  ...Object.fromEntries(KINDS.map((kind) => [kind, (/** @type {any} */ stage) => page(stage, kind)])),
  libdatachannel: async (stage) => async (offers) => new Foreign(stage, process.execPath, [here("libdatachannel.js"), role(offers)]),
  aiortc: async (stage) => async (offers) => new Foreign(stage, PYTHON, [here("echo.py"), role(offers), JSON.stringify(CHANNELS)]),
};

const role = (/** @type {boolean} */ offers) => (offers ? "offer" : "answer");

/** One page, one connection after the other. @param {any} stage @param {import("../browsers.js").Kind} kind */
async function page(stage, kind) {
  const server = await stage.serve();
  const visitor = await stage.visit(kind, server.url);
  return async () => {
    await visitor.page.evaluate(`globalThis.it = (${echo})({ RTCPeerConnection, channels: ${JSON.stringify(CHANNELS)} }); null`);
    return {
      description: (/** @type {string | undefined} */ offer) =>
        visitor.run((/** @type {string | null} */ text) => /** @type {any} */ (globalThis).it.description(text ?? undefined), offer ?? null),
      accept: (/** @type {string} */ answer) => visitor.run((/** @type {string} */ text) => /** @type {any} */ (globalThis).it.accept(text), answer),
      end: () => visitor.run(() => /** @type {any} */ (globalThis).it.close()),
    };
  };
}

/** A library in a process of its own. @implements {Other} */
class Foreign extends Process {
  /** @param {string} [offer] */
  async description(offer) {
    if (offer !== undefined) this.say(offer);
    return this.line();
  }

  /** @param {string} answer */
  async accept(answer) {
    this.say(answer);
  }

  async end() {
    await this.exit();
  }
}
