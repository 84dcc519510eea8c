/**
 * Received candidates: which to add, which to hold back, which to drop. Pure.
 *
 * No candidate is added before a remote description (W3C WebRTC §4.4.2, addIceCandidate rejects otherwise), each is added once, and
 * those held back go in the order they came.
 * @module
 */
//# allFunctionsCalledOnLoad

/** The end of candidates, as addIceCandidate takes it (W3C WebRTC §4.4.2: an empty candidate string). */
export const END_OF_CANDIDATES = Object.freeze({ candidate: "", sdpMLineIndex: 0 });

/** More than any honest peer gathers between two negotiations. */
const MAX_KNOWN = 256;

/** @typedef {"add" | "buffer" | "duplicate" | "too-many"} Verdict */

/** What has been received in one pairing. */
export class CandidateBuffer {
  /** @type {Set<string>} */ #known = new Set();
  /** @type {RTCIceCandidateInit[]} */ #held = [];

  /** Held back, in the order they came. @returns {readonly RTCIceCandidateInit[]} */
  get held() {
    return this.#held;
  }

  /**
   * Says what to do with a candidate, and holds it if that is the verdict.
   * @param {RTCIceCandidateInit} candidate
   * @param {boolean} described whether a remote description is set
   * @returns {Verdict}
   */
  receive(candidate, described) {
    const key = [candidate.candidate, candidate.sdpMid ?? candidate.sdpMLineIndex, candidate.usernameFragment].join("\n");
    if (this.#known.has(key)) return "duplicate";
    if (this.#known.size >= MAX_KNOWN) return "too-many";
    this.#known.add(key);
    if (described) return "add";
    this.#held.push(candidate);
    return "buffer";
  }

  /** All that was held back, in order; the buffer is empty afterwards. */
  flush() {
    return this.#held.splice(0);
  }

  /** A new negotiation: its candidates carry another ufrag, and it ends its candidates once more. */
  renew() {
    this.#known.clear();
  }
}

/**
 * The candidates a description brings along (RFC 8839 §5.1), as many as are kept.
 * @param {string} sdp
 * @returns {RTCIceCandidateInit[]}
 */
export function candidatesIn(sdp) {
  const mid = /^a=mid:(.*)$/m.exec(sdp)?.[1]?.trim() ?? "0";
  return [...sdp.matchAll(/^a=(candidate:.*)$/gm)].slice(0, MAX_KNOWN).map(([, line = ""]) => ({ candidate: line.trim(), sdpMid: mid }));
}
