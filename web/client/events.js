/**
 * Events that carry fields, on targets that know their events' types.
 * @module
 */
//# allFunctionsCalledOnLoad

/** @import { TypedTarget } from "./types.d.ts" */

/**
 * EventTarget, for a class that knows its events: `class Room extends typedTarget()`.
 * @template Events
 * @returns {new () => TypedTarget<Events>}
 */
export function typedTarget() {
  return /** @type {new () => TypedTarget<Events>} */ (/** @type {unknown} */ (EventTarget));
}

/**
 * An event whose fields are read as `event.peer`, not `event.detail.peer`.
 * @template {Record<string, unknown>} T
 * @param {string} type
 * @param {T} fields
 * @returns {Event & T}
 */
export function eventWith(type, fields) {
  return Object.assign(new Event(type), fields);
}
