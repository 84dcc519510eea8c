/**
 * Statistics a person can use, out of RTCStatsReport (W3C webrtc-stats).
 * @module
 */

/** @import { PeerStats } from "./types.d.ts" */

/**
 * @typedef {Pick<PeerStats, "roundTrip" | "messagesSent" | "messagesReceived" | "bufferedAmount">} Counted
 *
 * @param {RTCPeerConnection | null} connection
 * @param {Counted} counted
 * @returns {Promise<PeerStats>}
 */
export async function readStats(connection, counted) {
  const stats = { path: null, iceRoundTrip: null, bytesSent: 0, bytesReceived: 0, ...counted };
  if (!connection) return stats;
  const report = await connection.getStats();
  const pair = selectedPair(report);
  if (!pair) return stats;
  const local = report.get(pair.localCandidateId);
  const remote = report.get(pair.remoteCandidateId);
  return {
    ...stats,
    path: {
      kind: local?.candidateType === "relay" || remote?.candidateType === "relay" ? "relay" : "direct",
      protocol: local?.protocol ?? "udp",
      local: endOf(local),
      remote: endOf(remote),
    },
    iceRoundTrip: typeof pair.currentRoundTripTime === "number" ? pair.currentRoundTripTime * 1000 : null,
    bytesSent: pair.bytesSent ?? 0,
    bytesReceived: pair.bytesReceived ?? 0,
  };
}

/** Chromium names it in the transport's record, Firefox marks it on the pair. @param {RTCStatsReport} report */
function selectedPair(report) {
  /** @type {any} */ let marked = null;
  /** @type {any} */ let named = null;
  report.forEach((entry) => {
    if (entry.type === "transport" && entry.selectedCandidatePairId) named = report.get(entry.selectedCandidatePairId);
    if (entry.type === "candidate-pair" && entry.selected) marked = entry;
  });
  return named ?? marked;
}

/** @param {any} candidate */
function endOf(candidate) {
  return { type: candidate?.candidateType ?? "host", address: candidate?.address || null, port: candidate?.port ?? null };
}
