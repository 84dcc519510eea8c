/**
 * The other side, as a page sees it. All that happens, happens in pairing.js.
 * @module
 */
//# allFunctionsCalledOnLoad
import { typedTarget } from "./events.js";

/** @import { Pairing } from "./pairing.js" */
/** @import { PeerEvents, SendOptions, StepId } from "./types.d.ts" */

/** Public: see types.d.ts. */
export class Peer extends /** @type {typeof typedTarget<PeerEvents>} */ (typedTarget)() {
  /** @type {Pairing} */ #pairing;

  /** @param {Pairing} pairing */
  constructor(pairing) {
    super();
    this.#pairing = pairing;
  }

  get id() {
    return this.#pairing.peerId;
  }
  get session() {
    return this.#pairing.session;
  }
  get role() {
    return this.#pairing.role;
  }
  get states() {
    return this.#pairing.states;
  }
  get trace() {
    return this.#pairing.trace;
  }
  /** @returns {null | "code" | "compared"} */
  get verified() {
    return this.#pairing.verified;
  }
  get draft() {
    return this.#pairing.draft;
  }
  get localDescription() {
    return this.#pairing.connection?.localDescription ?? null;
  }
  get remoteDescription() {
    return this.#pairing.connection?.remoteDescription ?? null;
  }
  get candidates() {
    return this.#pairing.candidates;
  }
  get steps() {
    return this.#pairing.steps;
  }

  /** @param {string | ArrayBuffer | ArrayBufferView | Blob} data @param {SendOptions} [options] */
  send(data, options) {
    return this.#pairing.send(data, options);
  }

  /** @param {string} label @param {RTCDataChannelInit} [options] */
  channel(label, options) {
    return this.#pairing.channel(label, options);
  }

  stats() {
    return this.#pairing.stats();
  }

  /** @param {StepId} id */
  press(id) {
    return this.#pairing.press(id);
  }
}
