/**
 * When to try a lost server again: exponential backoff with full jitter. Pure.
 *
 * Full jitter spreads ten thousand clients of a restarted server over the whole interval. A pair that talks wants its
 * signaling back within five seconds of the server's return; one who waits alone may take longer once the server stays away.
 * @module
 */

const FIRST = 250;
const URGENT_CAP = 4_000;
const PATIENT_CAP = 30_000;
/** Attempts at the urgent pace before a lone client slows down: about half a minute. */
const BRISK_ATTEMPTS = 16;

/**
 * @param {number} attempt 0 for the first
 * @param {{ urgent: boolean, random?: () => number }} options
 * @returns {number} milliseconds
 */
export function retryDelay(attempt, { urgent, random = Math.random }) {
  const cap = urgent || attempt < BRISK_ATTEMPTS ? URGENT_CAP : PATIENT_CAP;
  return Math.round(random() * Math.min(cap, FIRST * 2 ** attempt));
}
