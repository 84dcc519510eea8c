/**
 * What this tab and this browser remember. Storage may be forbidden: then nothing is remembered and everything else still works.
 *
 * A seat's token, the key of a sealed room and the draft lie in sessionStorage, which survives a reload and a crash of the tab but is seen by
 * no other tab. The address would keep the key in the browser's history.
 */

const STEPS = "crowfly-steps";
const DRAFT = "crowfly-draft";
/** @param {string} room */
const seatKey = (room) => `crowfly-seat:${room}`;
/** @param {string} room */
const secretKey = (room) => `crowfly-key:${room}`;
/** @type {Map<string, string>} the keys of this page, where storage is forbidden */
const keys = new Map();

/**
 * The token of a seat this tab held in the room, or null.
 * @param {string} room
 */
export function seatToken(room) {
  return attempt(() => sessionStorage.getItem(seatKey(room)));
}

/** @param {{ name: string, token: string }} room */
export function keepSeat({ name, token }) {
  attempt(() => sessionStorage.setItem(seatKey(name), token));
}

/** The key of a sealed room that was opened in this tab, or null. @param {string} room */
export function keptKey(room) {
  return keys.get(room) ?? attempt(() => sessionStorage.getItem(secretKey(room)));
}

/** @param {string} room @param {string} key */
export function keepKey(room, key) {
  keys.set(room, key);
  attempt(() => sessionStorage.setItem(secretKey(room), key));
}

/** And the key with it. @param {string} room */
export function forgetSeat(room) {
  keys.delete(room);
  for (const kept of [seatKey(room), secretKey(room)]) attempt(() => sessionStorage.removeItem(kept));
}

let draft = attempt(() => sessionStorage.getItem(DRAFT)) ?? "";

/** What was written and not sent, in whichever room. */
export function keptDraft() {
  return draft;
}

/** @param {string} text */
export function keepDraft(text) {
  if (text === draft) return;
  draft = text;
  attempt(() => (text ? sessionStorage.setItem(DRAFT, text) : sessionStorage.removeItem(DRAFT)));
}

/** The choice made on the start page, or in the address: `/?steps#room` asks for step by step. */
export function stepsChosen() {
  return new URLSearchParams(location.search).has("steps") || attempt(() => localStorage.getItem(STEPS)) === "on";
}

/** @param {boolean} on */
export function chooseSteps(on) {
  attempt(() => (on ? localStorage.setItem(STEPS, "on") : localStorage.removeItem(STEPS)));
}

/**
 * @template T
 * @param {() => T} storage
 * @returns {T | null}
 */
function attempt(storage) {
  try {
    return storage();
  } catch {
    return null;
  }
}
