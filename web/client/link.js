/**
 * Links, codes and addresses: what people hand to each other, and where a server is reached. Pure.
 * @module
 */
import { CrowflyError } from "./errors.js";

/** Letters and digits of any script, their combining marks, `-` and `_`: docs/protocol.md, "Names". */
const ROOM_NAME = /^[\p{L}\p{N}\p{M}_-]{1,64}$/u;

/**
 * The room name inside a link or code. White space and case are the server's to settle.
 * @param {string} linkOrCode
 * @returns {{ name: string, server: string | null }} `server` is null for a bare code
 */
export function parseRoom(linkOrCode) {
  const text = String(linkOrCode).trim();
  const hash = text.indexOf("#");
  const server = hash > 0 ? serverOf(text.slice(0, hash), "invalid-room-name") : null;
  const name = decode(text.slice(hash + 1)).trim().normalize("NFKC").replace(/\s+/gu, "-");
  if (!ROOM_NAME.test(name)) throw new CrowflyError("invalid-room-name", "no room name in this link or code");
  return { name, server };
}

/**
 * What another page opens. The fragment never reaches a server.
 * @param {string} server @param {string} name
 */
export function roomLink(server, name) {
  return `${server}#${encodeURIComponent(name)}`;
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
