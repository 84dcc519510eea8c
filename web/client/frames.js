/**
 * Frames of the main channel: bytes to meaning and back. Pure. docs/protocol.md, "The main channel".
 *
 *     byte 0      kind in the low four bits, flags in the high four
 *     bytes 1–4   message id, big-endian
 *     the rest    payload
 * @module
 */

export const KIND = Object.freeze({ text: 1, binary: 2, blob: 3, abort: 4, problem: 5, ping: 8, pong: 9, goodbye: 10 });
/** First and last fragment of a message; a short one is both. */
export const FIRST = 0x10;
export const LAST = 0x20;
export const HEADER = 5;

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/**
 * @param {number} kind @param {number} id
 * @param {Uint8Array} [payload] @param {number} [flags]
 * @param {Uint8Array<ArrayBuffer>} [room] written into where it fits: what is sent is copied by the browser, and a file has many frames
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function frame(kind, id, payload = NOTHING, flags = 0, room = NOTHING) {
  const size = HEADER + payload.length;
  const bytes = room.length < size ? new Uint8Array(size) : room.subarray(0, size);
  bytes[0] = kind | flags;
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(1, id);
  bytes.set(payload, HEADER);
  return bytes;
}

/** @param {number} id @param {string} code */
export function problemFrame(id, code) {
  return frame(KIND.problem, id, encoder.encode(code));
}

/**
 * @typedef {{ kind: number, id: number, first: boolean, last: boolean, payload: Uint8Array<ArrayBuffer> }} Frame
 * @param {ArrayBuffer} buffer
 * @returns {Frame | null} null when too short for a header
 */
export function readFrame(buffer) {
  if (buffer.byteLength < HEADER) return null;
  const head = new DataView(buffer);
  const first = head.getUint8(0);
  return {
    kind: first & 0x0f,
    id: head.getUint32(1),
    first: (first & FIRST) !== 0,
    last: (first & LAST) !== 0,
    payload: new Uint8Array(buffer, HEADER),
  };
}

/**
 * What precedes the bytes of a Blob.
 * @typedef {{ size: number, type: string, name: string | null }} BlobHeader
 */

/** @param {BlobHeader} header */
export function encodeBlobHeader({ size, type, name }) {
  return encoder.encode(JSON.stringify(name === null ? { size, type } : { size, type, name }));
}

/** @param {Uint8Array} payload @returns {BlobHeader | null} */
export function readBlobHeader(payload) {
  if (payload.length > 4_096) return null;
  try {
    const { size, type, name = null } = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
    const sized = Number.isSafeInteger(size) && size >= 0;
    const typed = typeof type === "string" && type.length <= 255;
    const named = name === null || (typeof name === "string" && name.length <= 255);
    return sized && typed && named ? { size, type, name } : null;
  } catch {
    return null;
  }
}
