/**
 * Messages waiting to leave, cut into frames as there is room. No channel, no clock: the owner asks for the next frame.
 *
 * A binary message is held as a copy until its last frame has left, up to 64 MiB each. Who sends many waits for each `send`, or holds
 * them all: that bound is the caller's. A Blob costs two blocks.
 *
 * Two lanes: text and binary messages in the order they were sent, and Blobs in theirs. Frames are taken from the lanes in turn,
 * so a line of chat does not wait for a film. A Blob is read a block at a time and one block ahead.
 * @module
 */
import { CrowflyError, abortReason } from "./errors.js";
import { FIRST, HEADER, KIND, LAST, encodeBlobHeader, frame } from "./frames.js";
import { MAX_IN_MEMORY } from "./inbox.js";

/** @import { SendOptions } from "./types.d.ts" */

/** Bytes of a Blob read at once. */
const BLOCK = 1024 * 1024;

/**
 * One message on its way out. `next` gives its next frame, or null while bytes are being read.
 * @typedef {object} Outgoing
 * @property {number} id
 * @property {boolean} begun whether a frame of it has left
 * @property {number} sent @property {number} total bytes
 * @property {boolean} done
 * @property {(most: number) => Uint8Array<ArrayBuffer> | null} next
 *
 * @typedef {Outgoing & { resolve: () => void, reject: (error: unknown) => void, options: SendOptions, forget: () => void }} Queued
 */

/** The two lanes. */
export class Outbox {
  /** @type {[Queued[], Queued[]]} text and binary; Blobs */ #lanes = [[], []];
  /** @type {number[]} ids of messages given up after they had begun */ #aborted = [];
  #turn = 0;
  #nextId = 1;
  #onready;

  /** @param {() => void} onready there is something to take */
  constructor(onready) {
    this.#onready = onready;
  }

  get empty() {
    return this.#lanes.every((lane) => lane.length === 0);
  }

  /**
   * Queues a message as it is now: what its owner does to a buffer afterwards changes nothing. Resolves when its last frame was passed.
   * @param {string | ArrayBuffer | ArrayBufferView | Blob} data
   * @param {SendOptions} [options]
   * @returns {Promise<void>}
   */
  put(data, options = {}) {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(abortReason(signal));
    /** @type {Outgoing} */ let message;
    try {
      message = this.#message(data);
    } catch (error) {
      return Promise.reject(error);
    }
    const lane = data instanceof Blob ? this.#lanes[1] : this.#lanes[0];
    return new Promise((resolve, reject) => {
      const abort = () => this.#giveUp(queued, abortReason(/** @type {AbortSignal} */ (signal)));
      const forget = () => signal?.removeEventListener("abort", abort);
      const queued = Object.assign(message, { resolve, reject, options, forget });
      signal?.addEventListener("abort", abort, { once: true });
      lane.push(queued);
      this.#onready();
    });
  }

  /**
   * Hands the next frame on. False when there is none at the moment, or it was not taken: then its message is not done, and
   * {@link Outbox.fail} is the owner's to call.
   * @param {number} most bytes a frame may have
   * @param {(bytes: Uint8Array<ArrayBuffer>) => boolean} transmit
   */
  pass(most, transmit) {
    const abandoned = this.#aborted.shift();
    if (abandoned !== undefined) return transmit(frame(KIND.abort, abandoned));
    for (let tries = 0; tries < this.#lanes.length; tries++) {
      const lane = /** @type {Queued[]} */ (this.#lanes[this.#turn]);
      this.#turn = (this.#turn + 1) % this.#lanes.length;
      const message = lane[0];
      const bytes = message?.next(most);
      if (!message || !bytes) continue;
      message.begun = true;
      if (!transmit(bytes)) return false;
      if (message.done) this.#finish(message, null);
      tell(message);
      return true;
    }
    return false;
  }

  /** The other side will not have this message. @param {number} id @param {CrowflyError} error */
  refused(id, error) {
    const message = this.#lanes.flat().find((queued) => queued.id === id);
    if (message) this.#giveUp(message, error);
  }

  /** What takes long is not sent to its end. @param {CrowflyError} error */
  giveUpBlobs(error) {
    for (const message of [...this.#lanes[1]]) this.#giveUp(message, error);
  }

  /** Nothing more will leave. @param {CrowflyError} error */
  fail(error) {
    for (const message of this.#lanes.flat()) this.#finish(message, error);
    this.#aborted = [];
  }

  /** @param {Queued} message @param {unknown} error */
  #giveUp(message, error) {
    if (message.begun) this.#aborted.push(message.id);
    this.#finish(message, error);
    this.#onready();
  }

  /** @param {Queued} message @param {unknown} error null when it went well */
  #finish(message, error) {
    for (const lane of this.#lanes) {
      const at = lane.indexOf(message);
      if (at >= 0) lane.splice(at, 1);
    }
    message.forget();
    if (error === null) message.resolve();
    else message.reject(error);
  }

  /** @param {string | ArrayBuffer | ArrayBufferView | Blob} data @returns {Outgoing} */
  #message(data) {
    const id = this.#nextId;
    this.#nextId = (id % 0xffffffff) + 1;
    if (data instanceof Blob) return new BlobMessage(id, data, this.#onready, (error) => this.refused(id, error));
    if (typeof data === "string") return new PlainMessage(KIND.text, id, new TextEncoder().encode(data));
    if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return new PlainMessage(KIND.binary, id, viewOf(data));
    throw new CrowflyError("invalid-field", "only strings, ArrayBuffers, their views and Blobs can be sent");
  }
}

/** @param {ArrayBuffer | ArrayBufferView} data */
function viewOf(data) {
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
}

/** An error of the caller's own callback is the caller's, as in an event listener: it is reported, and the message goes on. @param {Queued} message */
function tell({ sent, total, options }) {
  try {
    options.onProgress?.(sent, total);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** Text or bytes. */
class PlainMessage {
  begun = false;
  done = false;
  sent = 0;
  #kind;
  #bytes;

  /** @param {number} kind @param {number} id @param {Uint8Array} bytes text: fresh ones; binary: the caller's, which are copied */
  constructor(kind, id, bytes) {
    if (bytes.length > MAX_IN_MEMORY) {
      throw new CrowflyError("message-too-large", `${bytes.length} bytes are too many for one message in memory`);
    }
    this.#kind = kind;
    this.#bytes = kind === KIND.binary ? bytes.slice() : bytes;
    this.id = id;
    this.total = bytes.length;
  }

  /** @param {number} most */
  next(most) {
    const flags = this.begun ? 0 : FIRST;
    const part = this.#bytes.subarray(this.sent, this.sent + most - HEADER);
    this.sent += part.length;
    this.done = this.sent === this.total;
    return frame(this.#kind, this.id, part, flags | (this.done ? LAST : 0));
  }
}

/** A Blob, read as it goes. */
class BlobMessage {
  begun = false;
  done = false;
  sent = 0;
  #blob;
  #onready;
  #onfailure;
  /** @type {Uint8Array} */ #block = new Uint8Array(0);
  /** @type {Uint8Array | null} */ #ahead = null;
  /** Every frame in turn. @type {Uint8Array<ArrayBuffer>} */ #room = new Uint8Array(0);
  #read = 0;
  #reading = false;

  /** @param {number} id @param {Blob} blob @param {() => void} onready @param {(error: CrowflyError) => void} onfailure */
  constructor(id, blob, onready, onfailure) {
    this.#blob = blob;
    this.#onready = onready;
    this.#onfailure = onfailure;
    this.id = id;
    this.total = blob.size;
    this.#readAhead();
  }

  /** @param {number} most */
  next(most) {
    if (!this.begun) {
      this.done = this.total === 0;
      const { size, type } = this.#blob;
      const name = "name" in this.#blob ? String(this.#blob.name) : null;
      return frame(KIND.blob, this.id, encodeBlobHeader({ size, type, name }), FIRST | (this.done ? LAST : 0));
    }
    if (this.#block.length === 0) {
      if (!this.#ahead) return null;
      this.#block = this.#ahead;
      this.#ahead = null;
      this.#readAhead();
    }
    const part = this.#block.subarray(0, most - HEADER);
    this.#block = this.#block.subarray(part.length);
    this.sent += part.length;
    this.done = this.sent === this.total;
    if (this.#room.length < most) this.#room = new Uint8Array(most);
    return frame(KIND.blob, this.id, part, this.done ? LAST : 0, this.#room);
  }

  #readAhead() {
    if (this.#reading || this.#read >= this.total) return;
    this.#reading = true;
    const block = this.#blob.slice(this.#read, this.#read + BLOCK);
    this.#read += block.size;
    block.arrayBuffer().then(
      (buffer) => {
        this.#reading = false;
        this.#ahead = new Uint8Array(buffer);
        this.#onready();
      },
      (cause) => this.#onfailure(new CrowflyError("unreadable-blob", "could not read the Blob to send", { cause })),
    );
  }
}
