/**
 * A raw data channel beside the main one: any RTCDataChannelInit, messages as they are, no framing.
 * @module
 */
import { CrowflyError } from "./errors.js";
import { eventWith, typedTarget } from "./events.js";

/** @import { ChannelEvents } from "./types.d.ts" */

/** Bytes left with the browser before `send` waits. */
const HIGH_WATER = 1024 * 1024;
const LOW_WATER = 256 * 1024;

/** An RTCDataChannel whose `send` waits for room. */
export class Channel extends /** @type {typeof typedTarget<ChannelEvents>} */ (typedTarget)() {
  /** @type {RTCDataChannel} */ #channel;
  /** @type {() => number} */ #maxMessageSize;
  #listeners = new AbortController();
  /** Sends go in the order they were asked for. @type {Promise<unknown>} */ #queue = Promise.resolve();

  /**
   * @param {RTCDataChannel} channel
   * @param {{ maxMessageSize: () => number, onchange: (state: "open" | "closed") => void }} hooks
   */
  constructor(channel, { maxMessageSize, onchange }) {
    super();
    this.#channel = channel;
    this.#maxMessageSize = maxMessageSize;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = LOW_WATER;
    const listening = { signal: this.#listeners.signal };
    channel.addEventListener(
      "open",
      () => {
        onchange("open");
        this.dispatchEvent(new Event("open"));
      },
      listening,
    );
    channel.addEventListener("message", ({ data }) => this.dispatchEvent(eventWith("message", { data })), listening);
    channel.addEventListener(
      "error",
      ({ error }) => this.dispatchEvent(eventWith("error", { error: new CrowflyError("channel-error", error.message, { cause: error }) })),
      listening,
    );
    channel.addEventListener(
      "close",
      () => {
        this.#listeners.abort();
        onchange("closed");
        this.dispatchEvent(new Event("close"));
      },
      listening,
    );
  }

  get label() {
    return this.#channel.label;
  }
  get protocol() {
    return this.#channel.protocol;
  }
  get id() {
    return this.#channel.id;
  }
  get ordered() {
    return this.#channel.ordered;
  }
  get maxRetransmits() {
    return this.#channel.maxRetransmits;
  }
  get maxPacketLifeTime() {
    return this.#channel.maxPacketLifeTime;
  }
  get negotiated() {
    return this.#channel.negotiated;
  }
  get readyState() {
    return this.#channel.readyState;
  }
  get bufferedAmount() {
    return this.#channel.bufferedAmount;
  }

  /**
   * One message, whole. Waits while the browser holds enough already.
   * @param {string | ArrayBuffer | ArrayBufferView | Blob} data
   * @returns {Promise<void>}
   */
  send(data) {
    const message = typeof data === "string" || data instanceof Blob ? data : copyOf(data);
    const sending = this.#queue.then(() => this.#send(message));
    this.#queue = sending.catch(() => {});
    return sending;
  }

  close() {
    this.#channel.close();
  }

  /** @param {string | ArrayBuffer | Blob} data */
  async #send(data) {
    const message = data instanceof Blob ? await data.arrayBuffer() : data;
    // The size on the wire: UTF-8 for text (RFC 8831 §6.6).
    const size = typeof message === "string" ? new TextEncoder().encode(message).length : message.byteLength;
    if (size > this.#maxMessageSize()) {
      throw new CrowflyError("message-too-large", `${size} bytes, the other side takes ${this.#maxMessageSize()}`, { hint: "Use peer.send, which cuts messages up." });
    }
    if (this.#channel.readyState === "connecting") throw new CrowflyError("not-open", `the channel ${this.label} is not open yet`);
    while (this.#channel.readyState === "open" && this.#channel.bufferedAmount >= HIGH_WATER) await this.#room();
    if (this.#channel.readyState !== "open") throw new CrowflyError("closed", `the channel ${this.label} is closed`);
    if (typeof message === "string") this.#channel.send(message);
    else this.#channel.send(message);
  }

  /** Until there is room, or the end. */
  #room() {
    return new Promise((resolve) => {
      const over = new AbortController();
      for (const type of ["bufferedamountlow", "close"]) {
        this.#channel.addEventListener(
          type,
          () => {
            over.abort();
            resolve(null);
          },
          { signal: over.signal },
        );
      }
    });
  }
}

/** At once: the caller may write on. @param {ArrayBuffer | ArrayBufferView} data @returns {ArrayBuffer} */
function copyOf(data) {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice().buffer;
  return data.slice(0);
}
