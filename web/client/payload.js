/**
 * Payloads of `signal`: what peers tell each other through the server, checked before anything acts on it. Pure.
 *
 * docs/protocol.md, "Payloads". What a stranger sends is `unknown` until it has passed {@link readPayload}.
 * @module
 */
//# allFunctionsCalledOnLoad

/** A description is about 500 bytes for data channels alone; the wire's own limit is 64 KiB. */
const MAX_SDP = 60_000;
const MAX_CANDIDATE = 1_024;
const MAX_BATCH = 128;

/**
 * @typedef {{ type: "offer" | "answer", sdp: string }} Description
 *
 * @typedef {{ kind: "description", description: Description }
 *   | { kind: "candidates", candidates: RTCIceCandidateInit[], complete: boolean }
 *   | { kind: "goodbye" }
 *   | { kind: "steps" }
 *   | { kind: "silent" }
 *   | { kind: "problem", code: string, about: string }} Payload
 * One candidate, a batch and the end of candidates are one kind here: a list that may be complete.
 *
 * @typedef {{ problem: string, about: string }} Refusal
 */

/**
 * @param {unknown} payload
 * @returns {Payload | Refusal}
 */
export function readPayload(payload) {
  if (!isObject(payload) || typeof payload.kind !== "string") return { problem: "malformed-payload", about: "" };
  const about = payload.kind.slice(0, 64);
  return read(about, payload) ?? { problem: "malformed-payload", about };
}

/** The name of a payload in the trace: `offer`, `candidates`, … @param {unknown} payload */
export function payloadName(payload) {
  if (!isObject(payload)) return "malformed";
  if (payload.kind === "description" && isObject(payload.description)) return String(payload.description.type).slice(0, 16);
  return String(payload.kind).slice(0, 32);
}

/**
 * @param {string} kind
 * @param {Record<string, unknown>} payload
 * @returns {Payload | Refusal | null}
 */
function read(kind, payload) {
  switch (kind) {
    case "description":
      return readDescription(payload.description);
    case "candidate":
      return isCandidate(payload.candidate) ? { kind: "candidates", candidates: [payload.candidate], complete: false } : null;
    case "candidates":
      return isBatch(payload.candidates)
        ? { kind: "candidates", candidates: payload.candidates, complete: payload.complete === true }
        : null;
    case "end-of-candidates":
      return { kind: "candidates", candidates: [], complete: true };
    case "goodbye":
    case "steps":
    case "silent":
      return { kind };
    case "problem":
      return { kind: "problem", code: String(payload.code).slice(0, 64), about: String(payload.about ?? "").slice(0, 64) };
    default:
      return { problem: "unknown-kind", about: kind };
  }
}

/** @param {unknown} description @returns {Payload | null} */
function readDescription(description) {
  if (!isObject(description)) return null;
  const { type, sdp } = description;
  if ((type !== "offer" && type !== "answer") || typeof sdp !== "string" || sdp.length > MAX_SDP) return null;
  return { kind: "description", description: { type, sdp } };
}

/** @param {unknown} batch @returns {batch is RTCIceCandidateInit[]} */
function isBatch(batch) {
  return Array.isArray(batch) && batch.length <= MAX_BATCH && batch.every(isCandidate);
}

/** RTCIceCandidateInit, W3C WebRTC §4.8.1.1. @param {unknown} value @returns {value is RTCIceCandidateInit} */
function isCandidate(value) {
  if (!isObject(value)) return false;
  const { candidate, sdpMid, sdpMLineIndex, usernameFragment } = value;
  return (
    typeof candidate === "string" &&
    candidate.length <= MAX_CANDIDATE &&
    isTextOrNothing(sdpMid) &&
    isTextOrNothing(usernameFragment) &&
    (sdpMLineIndex === undefined || sdpMLineIndex === null || Number.isInteger(sdpMLineIndex))
  );
}

/** @param {unknown} value */
function isTextOrNothing(value) {
  return value === undefined || value === null || (typeof value === "string" && value.length <= 256);
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isObject(value) {
  return typeof value === "object" && value !== null;
}
