/**
 * When to try a lost server again: exponential backoff with full jitter. Pure.
 *
 * Full jitter spreads ten thousand clients of a restarted server over the whole interval. A pair that talks wants its
 * signaling back within five seconds of the server's return; one who waits alone may take longer once the server stays away.
 * @module
 */

const FIRST = 250;
const BRISK_CAP = 4_000;
const PATIENT_CAP = 30_000;
/** How long a lone client tries as often as a pair. */
const BRISK = 60_000;

/**
 * @param {number} attempt 0 for the first
 * @param {{ urgent: boolean, away: number, random?: () => number }} options `away`: ms since the server was lost
 * @returns {number} milliseconds
 */
export function retryDelay(attempt, { urgent, away, random = Math.random }) {
  const cap = urgent || away < BRISK ? BRISK_CAP : PATIENT_CAP;
  return Math.round(random() * Math.min(cap, FIRST * 2 ** attempt));
}
