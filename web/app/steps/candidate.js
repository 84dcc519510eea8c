/**
 * An ICE candidate taken apart and put into words (RFC 8839 §5.1). Pure; what a peer sends may be anything.
 */

/**
 * @typedef {object} Candidate
 * @property {string} type host, srflx, prflx or relay
 * @property {string} protocol
 * @property {string} address
 * @property {string} port
 * @property {number} priority
 * @property {string | null} related address and port behind it, for srflx and relay
 */

/** @type {Readonly<Record<string, string>>} */
const TYPES = {
  host: "an address of this computer itself",
  srflx: "server reflexive: how the STUN server saw this computer from outside, the public side of a NAT",
  prflx: "peer reflexive: learnt from a check that came through",
  relay: "an address on a relay server (TURN)",
};

/**
 * @param {string} line `candidate:…`, with or without `a=`
 * @returns {Candidate | null} null when it is not a candidate
 */
export function parseCandidate(line) {
  const [, , protocol = "", priority, address = "", port = "", typ, type, ...rest] = line.replace(/^a=/, "").split(" ");
  if (typ !== "typ" || !type) return null;
  /** @param {string} name */
  const after = (name) => (rest.includes(name) ? rest[rest.indexOf(name) + 1] : undefined);
  const related = after("raddr");
  return {
    type, protocol: protocol.toLowerCase(), address, port, priority: Number(priority),
    related: related === undefined ? null : `${related} port ${after("rport") ?? "?"}`,
  };
}

/**
 * Sentences about a candidate, in the order in which one asks.
 * @param {Candidate} candidate
 * @returns {[name: string, meaning: string][]}
 */
export function explainCandidate({ type, protocol, address, priority, related }) {
  /** @type {[string, string][]} */
  const lines = [["Type", `${type}: ${TYPES[type] ?? "a type this page does not know"}.`]];
  if (address.endsWith(".local")) {
    lines.push(["Address", "A random name in place of the address, so that a web page does not learn it. Computers in the same network resolve it by multicast DNS (mDNS)."]);
  }
  if (protocol === "tcp") lines.push(["Protocol", "TCP, for networks that let no UDP through."]);
  if (Number.isFinite(priority)) {
    lines.push(["Priority", `${priority}: type preference ${Math.floor(priority / 2 ** 24)}, local preference ${Math.floor(priority / 256) % 65_536}. Higher is tried first (RFC 8445 §5.1.2).`]);
  }
  if (related) lines.push(["Related", hidden(related) ? "The address behind it is kept secret." : `${related} is the address behind it.`]);
  return lines;
}

/** Browsers put zeros where they would give an address away. @param {string} related */
function hidden(related) {
  return /^(0\.0\.0\.0|::) /.test(related);
}
