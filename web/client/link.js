/**
 * Links, codes and addresses: what people hand to each other, and where a server is reached. Pure.
 * @module
 */
import { CrowflyError } from "./errors.js";

/** Letters and digits of any script, their combining marks, `-` and `_`: docs/protocol.md, "Names". */
const ROOM_NAME = /^[\p{L}\p{N}\p{M}_-]{1,64}$/u;

/** A drawn name, which only a server gives to a room. */
const DRAWN = /^(?:[0-9a-hjkmnp-tv-z]{4}-){2}[0-9a-hjkmnp-tv-z]{4}$/;
/** 32 bytes in their one spelling. */
const KEY = /^[\w-]{42}[AEIMQUYcgkosw048]$/;

/**
 * What a link, code or name says: the room, where it is, and the secret that it shares, as a key or as words. White space and case of
 * names are the server's to settle. Who gives a secret that is damaged gets an error, and not into an open room.
 * @param {string} linkOrCode
 * @returns {{ name: string, server: string | null, key: string | null, words: string[] | null }} `server` is null where it is no link
 */
export function parseRoom(linkOrCode) {
  const text = String(linkOrCode).trim();
  const hash = text.indexOf("#");
  const server = hash > 0 ? serverOf(text.slice(0, hash), "invalid-room-name") : null;
  const place = decode(text.slice(hash + 1)).trim();
  return { server, ...(readKeyed(place) ?? readCode(place) ?? readName(place)) };
}

/** @param {string} place */
function readName(place) {
  const name = place.normalize("NFKC").replace(/\s+/gu, "-");
  if (!ROOM_NAME.test(name)) throw new CrowflyError("invalid-room-name", "no room name in this link or code");
  return { name, key: null, words: null };
}

/** A room and its key, as links carry them. @param {string} place */
function readKeyed(place) {
  const dot = place.lastIndexOf(".");
  const name = place.slice(0, Math.max(dot, 0)).toLowerCase();
  if (!DRAWN.test(name)) return null;
  const key = place.slice(dot + 1);
  if (!KEY.test(key)) throw new CrowflyError("invalid-code", "the secret of this link is damaged");
  return { name, key, words: null };
}

/**
 * A room and words, or null where this does not begin like a code. Whether the words are such of codes, code.js says.
 * @param {string} place
 */
export function readCode(place) {
  if (place.length > 1_024) return null;
  const parts = place.normalize("NFKC").toLowerCase().split(/[^a-z0-9]+/).filter((part) => part !== "");
  const name = parts.slice(0, 3).join("-").replace(/[il]/g, "1").replaceAll("o", "0");
  return parts.length > 3 && DRAWN.test(name) ? { name, key: null, words: parts.slice(3) } : null;
}

/**
 * What another page opens. The fragment never reaches a server.
 * @param {string} server @param {string} name @param {string | null} [key] of a sealed room
 */
export function roomLink(server, name, key = null) {
  return `${server}#${encodeURIComponent(name)}${key === null ? "" : `.${key}`}`;
}

/**
 * The base URL of a signaling server, ending in `/`; without an argument where the page came from.
 * @param {string | URL | null | undefined} server
 */
export function serverBase(server) {
  const base = server ?? globalThis.location?.origin;
  if (!base) throw new CrowflyError("invalid-address", "no server given and no page to take it from");
  return serverOf(String(base), "invalid-address");
}

/** The WebSocket of a base URL. @param {string} base */
export function socketURL(base) {
  const url = new URL("ws", base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** @param {string} text @param {string} code of the error when it is none */
function serverOf(text, code) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "https:" && url?.protocol !== "http:") throw new CrowflyError(code, `not a web address: ${text}`);
  return `${url.origin}${url.pathname.replace(/[^/]*$/, "")}`;
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone % in a name somebody typed; the name check speaks next
  }
}
