/**
 * What this tab and this browser remember. Storage may be forbidden: then nothing is remembered and everything else still works.
 *
 * A seat's token and the draft lie in sessionStorage, which survives a reload and a crash of the tab but is seen by no other tab.
 */

const STEPS = "crowfly-steps";
const DRAFT = "crowfly-draft";
/** @param {string} room */
const seatKey = (room) => `crowfly-seat:${room}`;

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

/** @param {string} room */
export function forgetSeat(room) {
  attempt(() => sessionStorage.removeItem(seatKey(room)));
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
