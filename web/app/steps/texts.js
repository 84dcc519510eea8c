/**
 * What each step does and what can go wrong with it, for people; and the five stages they belong to.
 */

/** @typedef {import("../../client/types.d.ts").StepId} StepId */
/** @typedef {import("../../client/types.d.ts").Stage} Stage */
/** @typedef {import("../../client/types.d.ts").Role} Role */

/** @type {Readonly<Record<StepId, { title: string, does: string, risk: string }>>} */
export const STEP_TEXTS = {
  "p1-create-connection": {
    title: "Create the connection",
    does: "Makes the object that will hold everything: keys, candidates, channels. It is told which STUN servers to ask, and listeners are put on it. Nothing leaves your browser yet.",
    risk: "Without a STUN server only addresses inside your own network are found. Listeners added later can miss events.",
  },
  "p1-create-channel": {
    title: "Create the data channel",
    does: "Asks for a channel for messages. Only the offering side creates it; the other side receives it by an event.",
    risk: "Forgotten, the offer describes nothing: no section for data, no candidates, no connection.",
  },
  "p1-create-offer": {
    title: "Create the offer",
    does: "Writes down, as SDP, what this browser proposes: one section for data over UDP, DTLS and SCTP, its ICE credentials, the fingerprint of its certificate.",
    risk: "So far it is only a text: no state has changed. Edited by hand, it may be refused in the next step.",
  },
  "p1-set-local-offer": {
    title: "Set the offer as local description",
    does: "Makes the proposal binding. The signaling state becomes have-local-offer, and the browser begins to gather candidates: addresses at which it may be reached.",
    risk: "No candidate at all means that UDP is blocked or that a policy restricts WebRTC in this browser.",
  },
  "p1-send-offer": {
    title: "Send the offer",
    does: "Hands the offer to the signaling server, which passes it on to the other seat of the room without reading it. Then this side waits for the answer.",
    risk: "If the other person has just left, there is nobody to pass it to.",
  },
  "p1-set-remote-answer": {
    title: "Set the answer as remote description",
    does: "Tells the browser what the other side agreed to. Signaling is stable again, buffered candidates are added in the order they came, and ICE begins to check pairs of addresses.",
    risk: "An answer that comes twice, or without an offer, meets the wrong state and is refused.",
  },
  "p1-send-candidates": {
    title: "Send your candidates",
    does: "Sends what was gathered, in one batch. In automatic mode each candidate leaves as soon as it is found; that is called trickling.",
    risk: "Unsent, the other side learns of your addresses only if your own checks reach it, which many NATs prevent.",
  },
  "p1-add-candidates": {
    title: "Add the other side's candidates",
    does: "Each one is paired with each of yours and checked. Those that arrive before the answer is set wait in a buffer.",
    risk: "addIceCandidate() fails while there is no remote description. That is what the buffer is for.",
  },
  "p2-create-connection": {
    title: "Create the connection",
    does: "The same configuration and listeners as on the other side, and one more: datachannel, for the channel PEER1 has asked for. This side creates none.",
    risk: "The datachannel event comes once. A listener registered too late never sees the channel.",
  },
  "p2-set-remote-offer": {
    title: "Set the offer as remote description",
    does: "Reads what PEER1 proposes. The signaling state becomes have-remote-offer.",
    risk: "It must come before the answer is created. SDP that cannot be read is refused here.",
  },
  "p2-create-answer": {
    title: "Create the answer",
    does: "Writes down what this side agrees to: the same section, its own ICE credentials and fingerprint, and which of the two begins the DTLS handshake.",
    risk: "Without a remote offer there is nothing to answer, and the call fails.",
  },
  "p2-set-local-answer": {
    title: "Set the answer as local description",
    does: "Makes the agreement binding. Signaling is stable again and gathering begins, here too.",
    risk: "From here on a change needs a new negotiation.",
  },
  "p2-send-answer": {
    title: "Send the answer",
    does: "Hands the answer to the signaling server, which passes it on to PEER1.",
    risk: "If it were lost, PEER1 would stay in have-local-offer and wait.",
  },
  "p2-send-candidates": {
    title: "Send your candidates",
    does: "Sends what was gathered, in one batch. In automatic mode each candidate leaves as soon as it is found; that is called trickling.",
    risk: "They may overtake the answer on another path; PEER1 keeps them in its buffer until it has set the answer.",
  },
  "p2-add-candidates": {
    title: "Add PEER1's candidates",
    does: "Each one is paired with each of yours and checked. When a pair works both ways, DTLS and SCTP follow on it, and the channel opens.",
    risk: "If no pair works, a firewall or NAT keeps the two apart, and only a relay would help.",
  },
};

/**
 * The stages as both lanes of the board show them. `other` says what the far side does in it, seen from either role.
 * @type {readonly { stage: Stage, title: string, server?: string, other: Partial<Record<Role, string>> }[]}
 */
export const STAGES = [
  { stage: 1, title: "PEER1 makes an offer", other: { PEER1: "PEER1 creates its connection, the data channel and the offer, and sends the offer." } },
  { stage: 2, title: "The server passes it on", server: "The server relays the offer from PEER1 to PEER2, with the seat it came from. It does not read it.", other: {} },
  { stage: 3, title: "PEER2 answers", other: { PEER2: "PEER2 creates its connection, sets the offer, creates and sets the answer, and sends it with its candidates." } },
  { stage: 4, title: "The server passes it on", server: "The server relays answer and candidates from PEER2 to PEER1.", other: {} },
  {
    stage: 5, title: "The direct way opens",
    other: { PEER1: "PEER1 sets the answer, sends its candidates and adds yours.", PEER2: "PEER2 adds your candidates." },
  },
];
