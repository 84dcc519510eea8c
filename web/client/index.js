/**
 * Crowfly: a direct connection between two pages. This is the public door; types.d.ts describes it.
 *
 * ```js
 * const room = await createRoom();            // or joinRoom(link)
 * room.addEventListener("peer", ({ peer }) => peer.addEventListener("open", () => peer.send("hello")));
 * ```
 * @module
 */
export { createRoom, joinRoom, missing, prepare } from "./enter.js";
export { CrowflyError } from "./errors.js";
export { parseRoom } from "./link.js";
