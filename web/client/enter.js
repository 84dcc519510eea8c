/**
 * The ways into a room, and getting ready for them.
 * @module
 */
//# allFunctionsCalledOnLoad
import { parseRoom, serverBase } from "./link.js";
import { Room } from "./room.js";

/** @import { RoomOptions } from "./types.d.ts" */

/** What was prepared is kept this long: the server closes a connection that sits in no room after 10 s. */
const KEPT = 8_000;

/** @type {{ room: Room, key: string, timer: ReturnType<typeof setTimeout> } | null} */
let prepared = null;

/**
 * Makes a room and waits in it.
 * @param {RoomOptions} [options]
 */
export async function createRoom(options = {}) {
  return Room.create(options, take(options));
}

/**
 * Joins the room named by a link or code, and starts the handshake.
 * @param {string} linkOrCode
 * @param {RoomOptions} [options]
 */
export async function joinRoom(linkOrCode, options = {}) {
  const { server, ...place } = parseRoom(linkOrCode);
  const complete = { ...options, server: options.server ?? server ?? undefined };
  // A mistyped word is told before anything is begun.
  if (place.words) (await import("./code.js")).checkWords(place.words);
  return Room.join(place, complete, take(complete));
}

/**
 * Gets ready for a room that will probably be wanted in a moment; see types.d.ts.
 * @param {RoomOptions} [options]
 */
export function prepare(options = {}) {
  if (options.steps || !globalThis.RTCPeerConnection) return;
  const key = keyOf(options);
  if (prepared?.key === key && !prepared.room.closed) return;
  discard();
  prepared = { room: Room.prepare(options), key, timer: setTimeout(discard, KEPT) };
}

/** What this browser lacks. */
export function missing() {
  const { RTCPeerConnection, WebSocket } = globalThis;
  return [...(RTCPeerConnection?.prototype.hasOwnProperty("createDataChannel") ? [] : ["WebRTC"]), ...(WebSocket ? [] : ["WebSocket"])];
}

/** What was prepared, if it is what is wanted now. @param {RoomOptions} options */
function take(options) {
  if (!prepared || options.steps) return null;
  const { room, key, timer } = prepared;
  if (key !== keyOf(options) || room.closed) {
    discard();
    return null;
  }
  clearTimeout(timer);
  prepared = null;
  return room;
}

function discard() {
  clearTimeout(prepared?.timer);
  void prepared?.room.leave();
  prepared = null;
}

/** What a connection to be made depends on. @param {RoomOptions} options */
function keyOf({ server, iceServers, label, path }) {
  return JSON.stringify([serverBase(server), iceServers, label, path]);
}
