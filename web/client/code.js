/**
 * Codes: a room and four words, as one person tells them to another. Loaded, with its list of words, where a code is made or typed; whoever
 * comes by a link needs neither.
 *
 * docs/protocol.md, "Codes and links".
 * @module
 */
import { CrowflyError } from "./errors.js";
import { toText } from "./seal.js";
import { WORDS } from "./words.js";

export const WORDS_IN_CODE = 4;
/** Of PBKDF2-HMAC-SHA256. */
const ROUNDS = 600_000;

const known = new Set(WORDS);

/** Four words, drawn evenly but for one part in a million. */
export function drawWords() {
  const random = crypto.getRandomValues(new Uint32Array(WORDS_IN_CODE));
  return [...random].map((bits) => /** @type {string} */ (WORDS[Math.floor((bits / 2 ** 32) * WORDS.length)]));
}

/** Four words of the list, or an error that says what is wrong. @param {readonly string[]} words */
export function checkWords(words) {
  if (words.length !== WORDS_IN_CODE) {
    throw new CrowflyError("invalid-code", `a code has four words behind its room, this one has ${words.length}`, { hint: "Check that it is complete." });
  }
  for (const word of words) {
    if (known.has(word)) continue;
    const suggestion = suggest(word);
    throw new CrowflyError("invalid-code", `“${word.slice(0, 32)}” is none of the words that codes are made of`, {
      hint: suggestion ? `Did you mean “${suggestion}”?` : "Compare it with the code you were given.",
    });
  }
}

/**
 * The key of a room, as links carry it. Takes as long as 600,000 rounds take, off the main thread.
 * @param {string} room @param {readonly string[]} words
 */
export async function stretch(room, words) {
  const encoder = new TextEncoder();
  const password = await crypto.subtle.importKey("raw", encoder.encode(words.join("-")), "PBKDF2", false, ["deriveBits"]);
  const salt = encoder.encode(`crowfly.1 code ${room}`);
  return toText(new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations: ROUNDS }, password, 256)));
}

/** The first word of the list with the fewest mistakes, at most two and fewer than half of what was typed. @param {string} typed */
export function suggest(typed) {
  if (typed.length > 16) return null;
  let best = { mistakes: 3, word: "" };
  for (const word of WORDS) {
    // As many letters as it is longer or shorter are wrong at least.
    if (Math.abs(word.length - typed.length) >= best.mistakes) continue;
    const mistakes = distance(typed, word);
    if (mistakes < best.mistakes) best = { mistakes, word };
  }
  return best.word && 2 * best.mistakes < typed.length ? best.word : null;
}

/** Letters wrong, missing, too many, or two neighbours exchanged (optimal string alignment). @param {string} one @param {string} other */
function distance(one, other) {
  /** @type {number[][]} */ const rows = [Array.from({ length: other.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= one.length; i++) {
    const above = /** @type {number[]} */ (rows[i - 1]);
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= other.length; j++) {
      const at = (/** @type {number[] | undefined} */ cells, /** @type {number} */ column) => cells?.[column] ?? Infinity;
      let least = Math.min(at(above, j) + 1, at(row, j - 1) + 1, at(above, j - 1) + Number(one[i - 1] !== other[j - 1]));
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]) least = Math.min(least, at(rows[i - 2], j - 2) + 1);
      row.push(least);
    }
  }
  return /** @type {number} */ (rows[one.length]?.[other.length]);
}
