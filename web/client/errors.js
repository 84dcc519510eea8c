/**
 * The one error of this library, and what each of its codes means to a person.
 *
 * Codes of the signaling server are those of docs/protocol.md; the rest arise here. Codes are stable, messages may change.
 * @module
 */

/**
 * What to try, by code. A code that is missing has nothing to try.
 * @type {Readonly<Record<string, string>>}
 */
const HINTS = Object.freeze({
  // The signaling server, docs/protocol.md
  "room-full": "Two people are in this room already. Ask for a new link.",
  "room-not-found": "The room is gone or the link is incomplete. Ask for a new link.",
  "room-unavailable": "No such room is open, or two people are in it already. Check the name.",
  "room-taken": "Choose another name, or join that room instead.",
  "invalid-room-name": "A name has 1 to 64 letters, digits, - or _.",
  "session-reused": "Try again; each attempt draws a new session.",
  "rate-limited": "Wait a minute, then try again.",
  "too-many-rooms": "Try again later, or use another server.",
  "already-in-room": "Leave the room you are in first.",
  busy: "The person there is still talking to somebody else. Try again later.",
  // Codes and links
  "invalid-code": "Copy the whole link, or compare the code with the one you were given.",
  "not-verified": "The code or link is not that of the room, or somebody in between has changed what was said. Ask for a new link.",
  // Reaching the server
  "invalid-address": "The address of a server begins with https:// or http://.",
  "server-unreachable": "Check that the server is running, its address, and the network.",
  "server-silent": "Something listens there but does not speak this protocol, or a proxy holds WebSockets back.",
  "unsupported-protocol": "Reload the page: it and the server are of different versions.",
  // Connecting and talking
  "connection-failed": "A firewall or NAT keeps the two apart. Try another network on one side, or a server with a relay.",
  "no-answer": "The other side did not answer the offer. It may be closed or asleep; try again.",
  "not-open": "Wait for the peer's \"open\" event.",
  "message-too-large": "Send it as a Blob: those are not held in memory.",
  "wrong-step": "The step list says which call comes next.",
  unsupported: "Use a current browser.",
});

/** Every failure of this library, with a stable `code` and a `hint` for people. */
export class CrowflyError extends Error {
  /**
   * @param {string} code
   * @param {string} message what was attempted on what; lower case, no full stop
   * @param {{ cause?: unknown, hint?: string }} [options]
   */
  constructor(code, message, { cause, hint } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "CrowflyError";
    this.code = code;
    this.hint = hint ?? HINTS[code] ?? "";
  }
}

/**
 * Whatever was thrown, as a CrowflyError; one that is one already stays as it is.
 * @param {unknown} thrown
 * @param {string} code
 * @param {string} attempt what was attempted
 */
export function asCrowflyError(thrown, code, attempt) {
  if (thrown instanceof CrowflyError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new CrowflyError(code, `${attempt}: ${reason}`, { cause: thrown });
}

/** The rejection of an aborted operation: the reason given, as `fetch` does it. @param {AbortSignal} signal */
export function abortReason(signal) {
  return signal.reason ?? new DOMException("The operation was aborted.", "AbortError");
}
