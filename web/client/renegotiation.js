/**
 * Negotiations after the first: an ICE restart, from either side, by perfect negotiation (W3C WebRTC §10.7).
 *
 * PEER2, who waited, is polite: where two offers cross it takes back its own; PEER1's stands.
 * @module
 */
import { asCrowflyError } from "./errors.js";

/** @import { CrowflyError } from "./errors.js" */
/** @import { Description } from "./payload.js" */
/** @import { Trace } from "./trace.js" */

/**
 * @typedef {object} RenegotiationOptions
 * @property {RTCPeerConnection} connection
 * @property {boolean} polite
 * @property {Trace} trace
 * @property {(description: RTCSessionDescription | null) => void} signal
 * @property {(code: string, about: string) => void} refuse
 * @property {() => void} onnew a new list of candidates begins
 * @property {() => void} onremote a remote description has been set
 * @property {(error: CrowflyError) => void} onfailure
 */

/** Offers and answers once the first pair of them is in place. */
export class Renegotiation {
  /** @type {RenegotiationOptions} */ #options;
  #offering = false;
  #began = false;
  #closed = false;
  /** Remote descriptions are applied one after the other. @type {Promise<void>} */ #queue = Promise.resolve();

  /** @param {RenegotiationOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** Whether anything beyond the first negotiation has happened. */
  get began() {
    return this.#began;
  }

  close() {
    this.#closed = true;
  }

  /** Makes a new offer with new credentials. One at a time. */
  restart() {
    const { connection, trace } = this.#options;
    if (this.#closed || this.#offering || connection.signalingState !== "stable") return;
    this.#offering = true;
    this.#began = true;
    trace.call(null, "restartIce", undefined, () => connection.restartIce());
    this.#options.onnew();
    this.#setLocal()
      .catch((thrown) => this.#fail(thrown, "could not offer a new path"))
      .finally(() => (this.#offering = false));
  }

  /** @param {Description} description */
  receive(description) {
    const { connection, polite, refuse } = this.#options;
    const { type, sdp } = description;
    if (sdp === connection.remoteDescription?.sdp) return refuse(`repeated-${type}`, type);
    const crossing = this.#offering || connection.signalingState !== "stable";
    if (type === "offer" && crossing && !polite) return refuse("crossing-offer", type);
    if (type === "answer" && connection.signalingState !== "have-local-offer") return refuse("unexpected-answer", type);
    this.#began = true;
    this.#queue = this.#queue.then(() => this.#apply(description));
  }

  /** @param {Description} description */
  async #apply(description) {
    const { connection, trace, refuse } = this.#options;
    if (this.#closed) return;
    try {
      const detail = { type: description.type };
      await trace.call(null, "setRemoteDescription", detail, () => connection.setRemoteDescription(description));
    } catch {
      if (!this.#closed) refuse("rejected-description", description.type);
      return;
    }
    if (description.type === "offer") this.#options.onnew();
    this.#options.onremote();
    if (description.type === "offer") await this.#setLocal().catch((thrown) => this.#fail(thrown, "could not answer a new offer"));
  }

  async #setLocal() {
    const { connection, trace, signal } = this.#options;
    await trace.call(null, "setLocalDescription", undefined, () => connection.setLocalDescription());
    if (!this.#closed) signal(connection.localDescription);
  }

  /** @param {unknown} thrown @param {string} attempt */
  #fail(thrown, attempt) {
    if (!this.#closed) this.#options.onfailure(asCrowflyError(thrown, "connection-failed", attempt));
  }
}
