/**
 * Puts received fragments together again, within bounds whatever the other side sends. No socket, no clock.
 *
 * At most one text or binary message and one Blob are unfinished at a time: a sender keeps each kind in order and interleaves the
 * two. A Blob's bytes leave the script's memory every few MiB: browsers keep Blobs elsewhere, on disk if need be.
 * @module
 */
import { KIND, readBlobHeader } from "./frames.js";

/** @import { BlobHeader, Frame } from "./frames.js" */
/** @import { Incoming } from "./types.d.ts" */

/** Text and binary messages are handed over in memory, so they have a bound; a Blob has none but what it declares. */
export const MAX_IN_MEMORY = 64 * 1024 * 1024;
/** Bytes of a Blob held as script memory before they are handed to the browser. */
const MERGE_AT = 4 * 1024 * 1024;

/**
 * @typedef {{ message: string | ArrayBuffer | Blob, name: string | null, bytes: number }} Received
 * @typedef {{ problem: string }} Violation
 */

/** Unfinished messages of one channel. */
export class Inbox {
  /** @type {InMemory | null} */ #plain = null;
  /** @type {Growing | null} */ #blob = null;
  /** The last message refused in each lane: what of it is still on its way is passed over. */
  #refused = { plain: -1, blob: -1 };

  /**
   * Takes a fragment: frames of kind text, binary, blob and abort.
   * @param {Frame} frame
   * @returns {Received | Violation | null} null while unfinished
   */
  take(frame) {
    if (frame.kind === KIND.abort) return this.#abort(frame.id);
    const lane = frame.kind === KIND.blob ? "blob" : "plain";
    if (!frame.first && this.#refused[lane] === frame.id) return null;
    const result = lane === "blob" ? this.#takeBlob(frame) : this.#takePlain(frame);
    if (result && "problem" in result) this.#drop(lane, frame.id);
    return result;
  }

  /** The unfinished Blob. @returns {Incoming | null} */
  get incoming() {
    return this.#blob && { name: this.#blob.header.name, size: this.#blob.header.size, received: this.#blob.received };
  }

  /** @param {Frame} frame @returns {Received | Violation | null} */
  #takePlain(frame) {
    if (frame.first !== (this.#plain === null)) return { problem: frame.first ? "interleaved" : "no-first-fragment" };
    const message = (this.#plain ??= new InMemory(frame));
    if (message.id !== frame.id || message.kind !== frame.kind) return { problem: "interleaved" };
    if (!message.append(frame.payload)) return { problem: "message-too-large" };
    if (!frame.last) return null;
    this.#plain = null;
    return message.finish();
  }

  /** @param {Frame} frame @returns {Received | Violation | null} */
  #takeBlob(frame) {
    if (frame.first !== (this.#blob === null)) return { problem: frame.first ? "interleaved" : "no-first-fragment" };
    if (frame.first) {
      const header = readBlobHeader(frame.payload);
      if (!header) return { problem: "malformed-blob-header" };
      this.#blob = new Growing(frame.id, header);
    } else {
      if (this.#blob?.id !== frame.id) return { problem: "interleaved" };
      if (!this.#blob.append(frame.payload)) return { problem: "size-mismatch" };
    }
    if (!frame.last) return null;
    const message = /** @type {Growing} */ (this.#blob);
    this.#blob = null;
    return message.finish() ?? { problem: "size-mismatch" };
  }

  /** @param {number} id */
  #abort(id) {
    if (this.#plain?.id === id) this.#plain = null;
    if (this.#blob?.id === id) this.#blob = null;
    return null;
  }

  /** @param {"plain" | "blob"} lane @param {number} id */
  #drop(lane, id) {
    this.#refused[lane] = id;
    if (lane === "plain") this.#plain = null;
    else this.#blob = null;
  }
}

/** Bytes gathered in one array that grows, so that a message in crumbs costs no more than its size. */
class Gathering {
  #bytes = new Uint8Array(0);
  length = 0;

  /** @param {Uint8Array} part */
  append(part) {
    const length = this.length + part.length;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.length));
      this.#bytes = larger;
    }
    this.#bytes.set(part, this.length);
    this.length = length;
  }

  /** What is there so far; the next append starts afresh. */
  take() {
    const taken = this.#bytes.subarray(0, this.length);
    this.#bytes = new Uint8Array(0);
    this.length = 0;
    return taken;
  }
}

/** A text or binary message. */
class InMemory {
  #gathering = new Gathering();

  /** @param {Frame} frame */
  constructor({ id, kind }) {
    this.id = id;
    this.kind = kind;
  }

  /** @param {Uint8Array} part */
  append(part) {
    if (this.#gathering.length + part.length > MAX_IN_MEMORY) return false;
    this.#gathering.append(part);
    return true;
  }

  /** @returns {Received | Violation} */
  finish() {
    const whole = this.#gathering.take();
    const bytes = whole.length;
    if (this.kind === KIND.binary) return { message: whole.slice().buffer, name: null, bytes };
    try {
      // ignoreBOM keeps a leading U+FEFF: the text arrives as it was sent.
      const message = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(whole);
      return { message, name: null, bytes };
    } catch {
      return { problem: "malformed-text" };
    }
  }
}

/** A Blob on its way. */
class Growing {
  /** @type {Blob[]} */ #merged = [];
  #gathering = new Gathering();
  #bytes = 0;

  /** @param {number} id @param {BlobHeader} header */
  constructor(id, header) {
    this.id = id;
    this.header = header;
  }

  get received() {
    return this.#bytes;
  }

  /** @param {Uint8Array} part */
  append(part) {
    this.#bytes += part.length;
    if (this.#bytes > this.header.size) return false;
    this.#gathering.append(part);
    if (this.#gathering.length >= MERGE_AT) this.#merge();
    return true;
  }

  /** @returns {Received | null} null when the size declared is not the size that came */
  finish() {
    if (this.#bytes !== this.header.size) return null;
    this.#merge();
    const { type, name } = this.header;
    return { message: new Blob(this.#merged, { type }), name, bytes: this.#bytes };
  }

  #merge() {
    this.#merged.push(new Blob([this.#gathering.take()]));
  }
}
