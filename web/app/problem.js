/**
 * Says what went wrong and what to do, in words for people. The library's errors carry a stable code, a message and a hint; here
 * are only those that this page can say better, because it knows which buttons are at hand.
 */

/** @typedef {{ code: string, text: string, advice: string }} Problem */

/** @type {Record<string, [text: string, advice: string]>} */
const WORDS = {
  "room-full": ["This room is full: two people are in it already.", "Ask for a link to a new room, or make one yourself."],
  "room-not-found": ["There is no such room.", "A room ends when the last one leaves it. Ask for a new link, or make a room yourself."],
  "room-unavailable": ["Nobody is waiting in a room of this name, or two people are in it already.", "Check the name and ask the other person to open the room first. You can also make it yourself."],
  "room-taken": ["A room of this name exists already.", "Take another name, or join that room."],
  "invalid-room-name": ["This is not a room name.", "1 to 64 letters and digits of any language, “-” and “_”. A whole link works too."],
  "not-verified": ["Somebody came who does not share the secret of this room, or somebody in between has changed what was said.", "They were turned away. If it was your friend, send the whole link again."],
  "rate-limited": ["The server asks you to slow down.", "Wait a minute, then try again."],
  "unreadable-blob": ["The file could not be read.", "It may have been changed or moved: pick it again."],
  "other-server": ["This link belongs to another server.", "Open it in the address bar of your browser."],
};

/**
 * @param {unknown} error
 * @returns {Problem}
 */
export function problemOf(error) {
  const { code = "unknown", message = "", hint = "" } = /** @type {{ code?: string, message?: string, hint?: string }} */ (error ?? {});
  const [text, advice] = WORDS[code] ?? [sentence(message) || "Something went wrong.", hint];
  return { code, text, advice: sentence(advice) };
}

/**
 * Why the other side is gone, as `peer-left` reports it.
 * @param {string} reason
 */
export function partingOf(reason) {
  return {
    goodbye: "The other person has left.",
    leave: "The other person has left.",
    lost: "The other person's connection was lost and did not come back.",
    vanished: "The other person is gone without a goodbye.",
    replaced: "The other person opened the room anew.",
    rejected: "This pairing was ended.",
    "no-offer": "Somebody came, but made no offer in time.",
  }[reason] ?? "The other person is gone.";
}

/**
 * Why this side is no longer in the room, as `close` reports it.
 * @param {string} reason
 */
export function endingOf(reason) {
  return {
    replaced: "This room was opened in another tab or window, which has taken this seat.",
    rejected: "The other side has ended this pairing.",
    other: "The other side has ended this pairing.",
    "not-verified": "Your link or code is not that of the room, or somebody in between has changed what was said. Ask for the link again.",
    burned: "Three came who did not know the secret of this room, so it was closed. Its link and code are worth nothing now: make a new room.",
    busy: "The other person is still talking to somebody else.",
    "no-offer": "The other side saw no offer in time.",
    failed: "No direct way to the other person was found. A firewall or NAT keeps the two of you apart: try another network on one side.",
    vanished: "The other person is gone without a goodbye.",
    lost: "The connection to the server was lost for too long, and the seat was given away.",
    destroyed: "The room was closed.",
  }[reason] ?? WORDS[reason]?.[0] ?? "You are no longer in this room.";
}

/** @param {string} text */
function sentence(text) {
  const trimmed = text.trim();
  if (!trimmed) return "";
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?…]$/.test(trimmed) ? "" : ".");
}
