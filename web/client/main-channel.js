/**
 * The main channel: messages of any size over one ordered, reliable data channel. docs/protocol.md, "The main channel".
 *
 * Framing is frames.js, cutting outbox.js, joining inbox.js; here they meet the RTCDataChannel, its backpressure and its end.
 * @module
 */
//# allFunctionsCalledOnLoad
import { CrowflyError } from "./errors.js";
import { KIND, frame, problemFrame, readFrame } from "./frames.js";
import { Inbox } from "./inbox.js";
import { Outbox } from "./outbox.js";

/** @import { Frame } from "./frames.js" */
/** @import { SendOptions } from "./types.d.ts" */

export const PROTOCOL = "crowfly.1";
/** Bytes of a frame; less when the other side takes less. */
const FRAME = 64 * 1024;
/** Less is no message size: the browser then refuses to send, which is an end where frames without content would be none. */
const LEAST = 64;
/** Bytes left with the browser at most, and when to give it more: enough to keep it busy, little enough that a line of chat is not late. */
const HIGH_WATER = 512 * 1024;
const LOW_WATER = 128 * 1024;
/** Violations after which the other side is not worth listening to. */
const MAX_VIOLATIONS = 100;

/**
 * @typedef {object} MainChannelHooks
 * @property {() => number} maxMessageSize what the other side takes, bytes
 * @property {() => void} onheard anything arrived
 * @property {(message: string | ArrayBuffer | Blob, name: string | null, bytes: number) => void} onmessage
 * @property {(incoming: import("./types.d.ts").Incoming | null) => void} onincoming
 * @property {(id: number) => void} onpong
 * @property {() => void} ongoodbye
 * @property {(error: CrowflyError) => void} onerror something the other side should not have sent
 * @property {() => void} onhostile too much of it
 */

/** Messages over an RTCDataChannel. */
export class MainChannel {
  #channel;
  #hooks;
  #inbox = new Inbox();
  #outbox = new Outbox(() => this.#fill());
  #violations = 0;
  #filling = false;
  #listeners = new AbortController();
  messagesSent = 0;
  messagesReceived = 0;

  /** @param {RTCDataChannel} channel @param {MainChannelHooks} hooks */
  constructor(channel, hooks) {
    this.#channel = channel;
    this.#hooks = hooks;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = LOW_WATER;
    const listening = { signal: this.#listeners.signal };
    channel.addEventListener("bufferedamountlow", () => this.#fill(), listening);
    channel.addEventListener("message", ({ data }) => this.#receive(data), listening);
  }

  get bufferedAmount() {
    return this.#channel.bufferedAmount;
  }

  /** Whether messages wait that the browser has not taken. */
  get queued() {
    return this.#channel.readyState === "open" && !this.#outbox.empty;
  }

  giveUpBlobs() {
    this.#outbox.giveUpBlobs(new CrowflyError("closed", "the room was left before all of it was sent"));
  }

  get idle() {
    return this.#outbox.empty && this.#channel.bufferedAmount === 0;
  }

  /**
   * Resolves when all of it was handed to the browser.
   * @param {string | ArrayBuffer | ArrayBufferView | Blob} data
   * @param {SendOptions} [options]
   */
  async send(data, options) {
    if (this.#channel.readyState !== "open") throw new CrowflyError("closed", "the channel is closed");
    await this.#outbox.put(data, options);
    this.messagesSent += 1;
  }

  /** @param {number} id */
  ping(id) {
    this.#transmit(frame(KIND.ping, id));
  }

  goodbye() {
    this.#transmit(frame(KIND.goodbye, 0));
  }

  /** Nothing more is sent or heard. The RTCDataChannel stays its owner's to close. */
  close() {
    this.#listeners.abort();
    this.#outbox.fail(new CrowflyError("closed", "the channel was closed"));
  }

  /** Hands frames to the browser while it holds less than the high-water mark. */
  #fill() {
    if (this.#filling) return; // a progress callback may send again
    this.#filling = true;
    try {
      const most = Math.max(LEAST, Math.min(FRAME, this.#hooks.maxMessageSize()));
      while (this.#channel.readyState === "open" && this.#channel.bufferedAmount < HIGH_WATER) {
        if (!this.#outbox.pass(most, (bytes) => this.#transmit(bytes))) return;
      }
    } finally {
      this.#filling = false;
    }
  }

  /** False when the browser would not have it. @param {Uint8Array<ArrayBuffer>} bytes */
  #transmit(bytes) {
    if (this.#channel.readyState !== "open") return false;
    try {
      this.#channel.send(bytes);
      return true;
    } catch (cause) {
      this.#outbox.fail(new CrowflyError("closed", "the browser refused to send", { cause }));
      return false;
    }
  }

  /** @param {unknown} data */
  #receive(data) {
    this.#hooks.onheard();
    const received = data instanceof ArrayBuffer ? readFrame(data) : null;
    if (received) this.#dispatch(received);
    else this.#violation(0, "malformed-frame");
  }

  /** @param {Frame} received */
  #dispatch(received) {
    const { kind, id, payload } = received;
    switch (kind) {
      case KIND.text:
      case KIND.binary:
      case KIND.blob:
      case KIND.abort:
        return this.#assemble(received);
      case KIND.ping:
        // Unless a flood of pings fills our side faster than its sender empties it.
        if (this.#channel.bufferedAmount <= HIGH_WATER) this.#transmit(frame(KIND.pong, id));
        return;
      case KIND.pong:
        return this.#hooks.onpong(id);
      case KIND.goodbye:
        return this.#hooks.ongoodbye();
      case KIND.problem:
        return this.#problem(id, new TextDecoder().decode(payload.subarray(0, 64)));
      default:
        return this.#violation(id, "unknown-kind");
    }
  }

  /** @param {Frame} received */
  #assemble(received) {
    const result = this.#inbox.take(received);
    if (received.kind === KIND.blob || received.kind === KIND.abort) this.#hooks.onincoming(this.#inbox.incoming);
    if (!result) return;
    if ("problem" in result) return this.#violation(received.id, result.problem);
    this.messagesReceived += 1;
    this.#hooks.onmessage(result.message, result.name, result.bytes);
  }

  /** The other side would not have one of ours. @param {number} id @param {string} code */
  #problem(id, code) {
    this.#outbox.refused(id, new CrowflyError(code, "the other side refused the message"));
  }

  /** @param {number} id @param {string} code */
  #violation(id, code) {
    this.#violations += 1;
    if (this.#violations > MAX_VIOLATIONS) return;
    this.#transmit(problemFrame(id, code));
    this.#hooks.onerror(new CrowflyError(code, "the other side sent what the main channel does not allow"));
    if (this.#violations === MAX_VIOLATIONS) this.#hooks.onhostile();
  }
}
