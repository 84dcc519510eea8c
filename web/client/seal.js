/**
 * Sealing: what two peers say to each other through a server that may neither read nor change it. WebCrypto and nothing else.
 *
 * docs/protocol.md, "Sealing", is normative. Each pairing has keys of its own, one a direction, and counts what it seals, so no nonce is
 * used twice with one key: a key belongs to one {@link Seal}, whose count only goes up.
 * @module
 */
//# allFunctionsCalledOnLoad
import { CrowflyError } from "./errors.js";

/** Payloads of one side in one pairing. */
const LAST = 2 ** 32 - 1;

const encoder = new TextEncoder();

/** @typedef {{ kind: "sealed", nonce?: string, counter: number, data: string }} Sealed */
/** @typedef {import("./types.d.ts").Role} Role */

/** Whether a page may use WebCrypto; one that came over plain HTTP may not. */
export function canSeal() {
  return globalThis.crypto?.subtle !== undefined;
}

/** One end of a pairing: seals what this side says, opens what the other says, each in its order. */
export class Seal {
  #context;
  /** @type {Role} */ #role;
  /** @type {Role} */ #other;
  /** @type {Promise<CryptoKey>} the room's, for HKDF */ #root;
  /** @type {string | null} */ #nonce = null;
  /** @type {Promise<CryptoKey>} PEER1's before it knows the nonce */ #first;
  /** @type {Promise<{ ours: CryptoKey, theirs: CryptoKey }> | null} */ #keys = null;
  #sealed = 0;
  #opened = -1;
  #met = false;
  /** @type {Promise<unknown>} */ #sealing = Promise.resolve();
  /** @type {Promise<unknown>} */ #opening = Promise.resolve();

  /** @param {{ key: string, room: string, session: string, role: Role }} pairing */
  constructor({ key, room, session, role }) {
    this.#context = `crowfly.1 sealed\n${room}\n${session}\n`;
    this.#role = role;
    this.#other = role === "PEER1" ? "PEER2" : "PEER1";
    this.#root = importRoot(key);
    this.session = session;
    this.#first = this.#derive("PEER1", null);
    if (role === "PEER2") this.#learn(randomText(16));
  }

  /** Whether the other end has shown that it knows the secret, in this pairing and not in one before. */
  get met() {
    return this.#met;
  }

  /** Seals a payload. Those asked for first are sealed first. @param {object} payload @returns {Promise<Sealed>} */
  seal(payload) {
    const sealed = this.#sealing.then(() => this.#sealNext(JSON.stringify(payload)));
    this.#sealing = sealed.catch(() => {});
    return sealed;
  }

  /**
   * Opens a payload of the other end, in the order asked for. Rejects with `repeated`, which means nothing, or with `not-verified`.
   * @param {unknown} payload @returns {Promise<unknown>}
   */
  open(payload) {
    const opened = this.#opening.then(() => this.#openNext(payload));
    this.#opening = opened.catch(() => {});
    return opened;
  }

  /** @param {string} text @returns {Promise<Sealed>} */
  async #sealNext(text) {
    const counter = this.#sealed++;
    if (counter > LAST) throw new CrowflyError("closed", "this pairing has said all it may");
    // Together: the key and the nonce it was made of.
    const nonce = this.#nonce;
    const keys = this.#keys;
    const key = keys ? (await keys).ours : await this.#first;
    const data = await crypto.subtle.encrypt(this.#cipher(nonce, this.#role, counter), key, encoder.encode(text));
    return { kind: "sealed", ...(nonce && { nonce }), counter, data: toText(new Uint8Array(data)) };
  }

  /** @param {unknown} payload */
  async #openNext(payload) {
    const sealed = readSealed(payload);
    if (!sealed) throw notVerified();
    const { nonce = null, counter, data } = sealed;
    if (counter <= this.#opened) throw new CrowflyError("repeated", "a payload came again");
    // PEER2 made the nonce; PEER1 takes that of the first payload which opens with it.
    const asked = this.#role === "PEER2" ? nonce === this.#nonce || (nonce === null && !this.#met) : nonce !== null && (this.#nonce ?? nonce) === nonce;
    if (!asked) throw notVerified();
    const theirs = nonce === null ? this.#first : this.#keys ? this.#keys.then((keys) => keys.theirs) : this.#derive(this.#other, nonce);
    const plain = await crypto.subtle.decrypt(this.#cipher(nonce, this.#other, counter), await theirs, data).catch(() => {
      throw notVerified();
    });
    this.#opened = counter;
    if (nonce !== null) this.#met = true;
    if (nonce !== null && this.#nonce === null) this.#learn(nonce);
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(plain));
    } catch {
      throw notVerified(); // who knows the secret seals JSON
    }
  }

  /** @param {string} nonce */
  #learn(nonce) {
    this.#nonce = nonce;
    this.#keys = Promise.all([this.#derive(this.#role, nonce), this.#derive(this.#other, nonce)]).then(([ours, theirs]) => ({ ours, theirs }));
  }

  /** The key of what one side seals. @param {Role} from @param {string | null} nonce */
  async #derive(from, nonce) {
    const salt = new Uint8Array([...fromText(this.session), ...(nonce === null ? [] : fromText(nonce))]);
    const info = encoder.encode(`crowfly.1 sealed ${from}${nonce === null ? " first" : ""}`);
    const root = await this.#root;
    return crypto.subtle.deriveKey({ name: "HKDF", hash: "SHA-256", salt, info }, root, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  }

  /** @param {string | null} nonce @param {Role} from @param {number} counter */
  #cipher(nonce, from, counter) {
    const iv = new Uint8Array(12);
    new DataView(iv.buffer).setUint32(8, counter);
    return { name: "AES-GCM", iv, additionalData: encoder.encode(`${this.#context}${nonce ?? ""}\n${from}\n${counter}`) };
  }
}

/** @param {unknown} payload @returns {{ nonce?: string, counter: number, data: Uint8Array<ArrayBuffer> } | null} */
function readSealed(payload) {
  const { kind, nonce, counter, data } = /** @type {Record<string, unknown>} */ (payload ?? {});
  if (kind !== "sealed" || !Number.isInteger(counter) || typeof data !== "string" || !/^[\w-]*$/.test(data)) return null;
  const place = /** @type {number} */ (counter);
  if (place < 0 || place > LAST || data.length % 4 === 1) return null;
  if (nonce === undefined || nonce === null) return { counter: place, data: fromText(data) };
  return typeof nonce === "string" && /^[\w-]{21}[AQgw]$/.test(nonce) ? { nonce, counter: place, data: fromText(data) } : null;
}

function notVerified() {
  return new CrowflyError("not-verified", "a payload was not sealed by who shares the secret of the room");
}

/** @param {string} key */
function importRoot(key) {
  return crypto.subtle.importKey("raw", fromText(key), "HKDF", false, ["deriveKey"]);
}

/** So many random bytes as base64url. @param {number} bytes */
export function randomText(bytes) {
  return toText(crypto.getRandomValues(new Uint8Array(bytes)));
}

/** base64url without padding (RFC 4648 §5). @param {Uint8Array} bytes */
export function toText(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
function fromText(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}
