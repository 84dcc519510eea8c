/**
 * Negotiations after the first: an ICE restart, from either side, by perfect negotiation (W3C WebRTC §10.7).
 *
 * PEER2, who waited, is polite: where two offers cross it takes back its own; PEER1's stands.
 *
 * Payloads may be lost on the way, and nobody notices but by what is missing. So an offer that comes again is answered again, and an
 * offer that crosses ours shows that ours may not have arrived.
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
 * @property {Description} first the remote description of the first negotiation
 * @property {(description: Description) => void} send
 * @property {() => void} repeat sends again what was sent last, with its candidates
 * @property {(code: string, about: string) => void} refuse
 * @property {() => void} onnew a new list of candidates begins
 * @property {() => void} onready candidates may go on, out or in
 * @property {(error: CrowflyError) => void} onfailure
 */

/** Offers and answers once the first pair of them is in place. */
export class Renegotiation {
  /** @type {RenegotiationOptions} */ #options;
  /** @type {string} the last description set: the browser's own copy gathers candidates */ #received;
  /** @type {string | null} the one on its way in */ #incoming = null;
  /** Making an offer of our own, until it is set. */ #offering = false;
  /** Setting a description of ours that has not been sent. */ #describing = false;
  /** Remote descriptions on their way in. */ #applying = 0;
  /** They go one after the other. @type {Promise<void>} */ #queue = Promise.resolve();
  #began = false;
  #closed = false;

  /** @param {RenegotiationOptions} options */
  constructor(options) {
    this.#options = options;
    this.#received = options.first.sdp;
  }

  /** Whether anything beyond the first negotiation has happened. */
  get began() {
    return this.#began;
  }

  /** Whether a remote description is awaited or being set: candidates behind it must wait. */
  get pending() {
    return this.#applying > 0 || this.#options.connection.signalingState !== "stable";
  }

  /** Whether an offer of ours is out and unanswered. */
  get awaiting() {
    return !this.#offering && this.#options.connection.signalingState === "have-local-offer";
  }

  /** Whether candidates found now belong to a description the other side does not have yet. */
  get describing() {
    return this.#describing;
  }

  close() {
    this.#closed = true;
  }

  /** Makes an offer with new credentials, and so a new search for a path. One at a time. */
  restart() {
    const { connection, trace } = this.#options;
    if (this.#closed || this.#offering || connection.signalingState !== "stable") return;
    this.#offering = true;
    this.#began = true;
    trace.conclude();
    trace.call(null, "restartIce", undefined, () => connection.restartIce());
    this.#describe("could not offer a new path").finally(() => (this.#offering = false));
  }

  /** @param {Description} description */
  receive(description) {
    const { connection, polite, refuse, repeat } = this.#options;
    const { type, sdp } = description;
    const stable = !this.#offering && this.#applying === 0 && connection.signalingState === "stable";
    if (sdp === this.#incoming) return refuse(`repeated-${type}`, type); // its answer comes
    if (sdp === this.#received) {
      if (type === "answer") return refuse("repeated-answer", type);
      // Our answer was lost. While an offer of our own is out, that one gives way below, as to any other.
      if (stable) return repeat();
    }
    if (type === "offer" && !stable && !polite) {
      refuse("crossing-offer", type);
      return this.awaiting ? repeat() : undefined;
    }
    if (type === "answer" && connection.signalingState !== "have-local-offer") return refuse("unexpected-answer", type);
    this.#began = true;
    this.#applying += 1;
    this.#incoming = sdp;
    this.#queue = this.#queue.then(() => this.#apply(description)).finally(() => {
      this.#applying -= 1;
      if (this.#incoming === sdp) this.#incoming = null;
      if (!this.#closed) this.#options.onready();
    });
  }

  /** @param {Description} description */
  async #apply(description) {
    const { connection, trace, refuse } = this.#options;
    if (this.#closed) return;
    const { type, sdp } = description;
    try {
      // An offer that crosses ours takes ours back by itself (W3C WebRTC §4.4.1.5, rollback).
      await trace.call(null, "setRemoteDescription", { type }, () => connection.setRemoteDescription(description));
    } catch {
      if (!this.#closed) refuse("rejected-description", type);
      return;
    }
    this.#received = sdp;
    if (type === "offer") await this.#describe("could not answer a new offer");
  }

  /** Sets and sends what fits: an offer when stable, else an answer. @param {string} attempt */
  async #describe(attempt) {
    const { connection, trace } = this.#options;
    if (this.#closed) return;
    this.#describing = true;
    try {
      this.#options.onnew();
      await trace.call(null, "setLocalDescription", undefined, () => connection.setLocalDescription());
      const local = connection.localDescription;
      if (this.#closed || !local) return;
      this.#options.send({ type: local.type === "offer" ? "offer" : "answer", sdp: local.sdp });
    } catch (thrown) {
      if (!this.#closed) this.#options.onfailure(asCrowflyError(thrown, "connection-failed", attempt));
    } finally {
      this.#describing = false;
      if (!this.#closed) this.#options.onready();
    }
  }
}
