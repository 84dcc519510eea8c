/**
 * Is the other side still there? Pings while nothing is heard, and what silence means. Pure: time comes in with each tick.
 *
 * Silence is counted in ticks seen, not on the clock: a page that was itself asleep must not blame the other side for it.
 * @module
 */
//# allFunctionsCalledOnLoad

/** How often to tick, ms. Background tabs are held to one a second, which still notices in time. */
export const TICK = 500;
/** A ping at least this often. */
const PING_EVERY = 1_000;
/** Nothing heard for this long: "silent". Three pings went unanswered. */
export const SILENT_AFTER = 3_500;
/** Nothing heard for this long: gone. */
export const GONE_AFTER = 15_000;
/** After so much silence PEER2 says so by way of the server, and again and again: a path may be gone for good. */
const CRY_AFTER = 7_000;
const CRY_EVERY = 4_000;
/** A longer gap between ticks than this was our own sleep. */
const LONGEST_TICK = 1_500;
/** Pings remembered for their round trip. */
const MAX_OUTSTANDING = 32;

/** One direction's watch over the other. */
export class Liveness {
  #lastTick;
  #lastPing = -Infinity;
  #silence = 0;
  #cryAt = CRY_AFTER;
  #nextPing = 1;
  /** @type {Map<number, number>} id → when */ #outstanding = new Map();
  /** @type {number | null} */ #roundTrip = null;

  /** @param {number} now */
  constructor(now) {
    this.#lastTick = now;
  }

  /** Milliseconds over the channel, smoothed; null until measured. */
  get roundTrip() {
    return this.#roundTrip;
  }

  /** @returns {"alive" | "silent" | "gone"} */
  get verdict() {
    if (this.#silence >= GONE_AFTER) return "gone";
    return this.#silence >= SILENT_AFTER ? "silent" : "alive";
  }

  /** Anything at all arrived. */
  heard() {
    this.#silence = 0;
    this.#cryAt = CRY_AFTER;
  }

  /** Whether it is time to say that nothing is heard. */
  cry() {
    if (this.#silence < this.#cryAt) return false;
    this.#cryAt += CRY_EVERY;
    return true;
  }

  /**
   * Time passes.
   * @param {number} now
   * @returns {number | null} the id of a ping to send
   */
  tick(now) {
    this.#silence += Math.min(now - this.#lastTick, LONGEST_TICK);
    this.#lastTick = now;
    if (now - this.#lastPing < PING_EVERY - TICK / 10) return null;
    this.#lastPing = now;
    const id = this.#nextPing++;
    this.#outstanding.set(id, now);
    if (this.#outstanding.size > MAX_OUTSTANDING) this.#outstanding.delete(id - MAX_OUTSTANDING);
    return id;
  }

  /** @param {number} id @param {number} now */
  pong(id, now) {
    const sent = this.#outstanding.get(id);
    if (sent === undefined) return; // not ours, or long ago
    this.#outstanding.delete(id);
    const sample = now - sent;
    // RFC 6298's weight for a smoothed round trip.
    this.#roundTrip = this.#roundTrip === null ? sample : this.#roundTrip * 0.875 + sample * 0.125;
  }
}
