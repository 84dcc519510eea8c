/**
 * The trace: what one peer did and saw during one pairing, in order, with monotonic times. docs/trace.md defines it.
 *
 * A record of a call takes its place when the call is made and is finished when the call ends, so the list reads in the order
 * of cause and effect.
 * @module
 */
//# allFunctionsCalledOnLoad

/** @import { Role, Stage, TraceRecord } from "./types.d.ts" */

/** Records kept; beyond it the oldest go, a batch at a time. */
export const CAPACITY = 10_000;
const BATCH = 1_000;

/** One peer's record of one pairing. */
export class Trace {
  /** @type {TraceRecord[]} */ #records = [];
  #dropped = 0;
  #concluded = false;
  #origin = performance.now();
  #began = new Date(performance.timeOrigin + this.#origin).toISOString();
  /** @type {(record: TraceRecord) => void} */ #onrecord;
  /** @type {string} */ #session;
  /** @type {Role} */ #role;

  /**
   * @param {{ session: string, role: Role, onrecord?: (record: TraceRecord) => void }} options
   */
  constructor({ session, role, onrecord = () => {} }) {
    this.#session = session;
    this.#role = role;
    this.#onrecord = onrecord;
  }

  /** @returns {readonly TraceRecord[]} */
  get records() {
    return this.#records;
  }

  get dropped() {
    return this.#dropped;
  }

  /** The handshake is over: what follows belongs to no stage of it. */
  conclude() {
    this.#concluded = true;
  }

  /**
   * Records something that has no length.
   * @param {Stage | null} stage
   * @param {Exclude<TraceRecord["kind"], "call">} kind
   * @param {string} name
   * @param {Record<string, unknown>} [detail]
   */
  note(stage, kind, name, detail) {
    this.#onrecord(this.#keep(stage, kind, name, detail));
  }

  /**
   * Makes a WebRTC call and records it: its place is where it was made, its length until it ended.
   * @template T
   * @param {Stage | null} stage
   * @param {string} name
   * @param {Record<string, unknown> | undefined} detail
   * @param {() => T} call
   * @returns {T} what the call returned, promise or not
   */
  call(stage, name, detail, call) {
    const record = this.#keep(stage, "call", name, detail);
    /** @param {unknown} [failure] */
    const finish = (failure) => {
      record.ms = this.#round(performance.now() - this.#origin - record.t);
      if (failure !== undefined) record.detail = { ...record.detail, error: nameOf(failure) };
      this.#onrecord(record);
    };
    try {
      const result = call();
      if (result instanceof Promise) result.then(() => finish(), finish);
      else finish();
      return result;
    } catch (failure) {
      finish(failure);
      throw failure;
    }
  }

  /** JSON Lines: a header, then a record a line. */
  toJSONLines() {
    const header = {
      format: "crowfly-trace",
      version: 1,
      session: this.#session,
      peer: this.#role,
      began: this.#began,
      dropped: this.#dropped,
    };
    return [header, ...this.#records].map((line) => `${JSON.stringify(line)}\n`).join("");
  }

  /**
   * @param {Stage | null} stage
   * @param {TraceRecord["kind"]} kind
   * @param {string} name
   * @param {Record<string, unknown>} [detail]
   */
  #keep(stage, kind, name, detail) {
    /** @type {TraceRecord} */
    const record = { t: this.#round(performance.now() - this.#origin), peer: this.#role, stage: this.#concluded ? null : stage, kind, name };
    if (detail) record.detail = detail;
    if (this.#records.length >= CAPACITY) {
      this.#records.splice(0, BATCH);
      this.#dropped += BATCH;
    }
    this.#records.push(record);
    return record;
  }

  /** Microseconds are as fine as a browser's clock gets. @param {number} ms */
  #round(ms) {
    return Math.round(ms * 1000) / 1000;
  }
}

/** @param {unknown} failure */
function nameOf(failure) {
  return failure instanceof Error ? failure.name : String(failure);
}
