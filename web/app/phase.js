/**
 * One word for where a pairing stands, worked out from its states; the page says it in colour, in a word and in a sentence.
 */

/** @typedef {import("../client/types.d.ts").PeerStates} PeerStates */
/** @typedef {"idle" | "busy" | "good" | "warn" | "bad"} Tone */
/** @typedef {"waiting" | "connecting" | "connected" | "silent" | "recovering" | "failed" | "closed"} PhaseId */
/** @typedef {{ id: PhaseId, tone: Tone, word: string, sentence: string }} Phase */

/** @type {Record<PhaseId, Omit<Phase, "id">>} */
const PHASES = {
  waiting: { tone: "idle", word: "Waiting", sentence: "Waiting for somebody. Keep this page open." },
  connecting: { tone: "busy", word: "Connecting", sentence: "Somebody is here. Connecting directly…" },
  connected: { tone: "good", word: "Connected", sentence: "You are connected." },
  silent: { tone: "warn", word: "Silent", sentence: "Nothing heard for a few seconds. What you send may arrive late." },
  recovering: { tone: "warn", word: "Interrupted", sentence: "The path is interrupted. Trying again…" },
  failed: { tone: "bad", word: "Failed", sentence: "No path works at the moment." },
  closed: { tone: "bad", word: "Closed", sentence: "The connection is closed." },
};

/**
 * @param {Readonly<PeerStates> | null} states of the pairing; null while nobody is there
 * @returns {Phase}
 */
export function phaseOf(states) {
  const id = idOf(states);
  return { id, ...PHASES[id] };
}

/**
 * @param {Readonly<PeerStates> | null} states
 * @returns {PhaseId}
 */
function idOf(states) {
  if (!states) return "waiting";
  const { connection, channel, liveness } = states;
  if (connection === "closed" || channel === "closed" || channel === "closing") return "closed";
  if (connection === "failed") return "failed";
  if (channel !== "open") return "connecting";
  if (connection === "disconnected") return "recovering";
  return liveness === "silent" ? "silent" : "connected";
}
