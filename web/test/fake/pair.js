/**
 * Two who are in a room together, for tests that begin there.
 */
import assert from "node:assert/strict";
import { createRoom, joinRoom } from "../../client/index.js";
import { once } from "./world.js";

/** @typedef {import("../../client/types.d.ts").Peer} Peer */
/** @typedef {import("../../client/types.d.ts").RoomOptions} RoomOptions */

/**
 * `one` is PEER1, the joiner, as the joiner's room has the other: events of `one` are what the joiner sees.
 * @param {ReturnType<typeof import("./world.js").createWorld>} world
 * @param {RoomOptions} [options] @param {RoomOptions} [joinOptions]
 */
export async function pair(world, options, joinOptions = options) {
  const waiting = await createRoom(options);
  const arrives = once(waiting, "peer");
  const joined = await joinRoom(waiting.link, joinOptions);
  const two = /** @type {Peer} */ ((await arrives).peer);
  const one = /** @type {Peer} */ (joined.peer);
  await world.settle();
  return { waiting, joined, one, two };
}

/**
 * The end of a tab that crashes: no goodbye, no leave, nothing more is heard of it, and the server sees its connection end.
 * @param {ReturnType<typeof import("./world.js").createWorld>} world @param {import("../../client/types.d.ts").Room} room
 */
export function crash(world, room) {
  const socket = [...world.server.sockets].find(({ peer }) => peer === room.id);
  world.webrtc.passes = false;
  world.server.dead.add(room.token);
  socket?.drop();
  return socket;
}

/**
 * Who holds this token is refused, for a reason that passes, until the gate is opened.
 * @param {ReturnType<typeof import("./world.js").createWorld>} world @param {string} token
 */
export function held(world, token) {
  const { resume } = world.server.handlers;
  const gate = { open: false };
  world.server.handlers.resume = (/** @type {any} */ socket, /** @type {any} */ message) =>
    !gate.open && message.token === token ? { type: "error", code: "too-many-rooms", message: "later" } : resume(socket, message);
  return gate;
}

/** A room whose joiner loses its connection while the handshake is under way: ICE finds nothing until `passes`. @param {ReturnType<typeof import("./world.js").createWorld>} world */
export async function unfinished(world) {
  world.webrtc.passes = false;
  const { waiting, joined, one, two } = await pair(world);
  assert.equal(one.states.channel, "connecting");
  return { waiting, joined, one, two, socket: [...world.server.sockets].find(({ peer }) => peer === joined.id) };
}
