/**
 * What each line of a session description means, and where that is defined. Pure.
 *
 * Only what browsers write for data channels is explained; any other line is shown as it is.
 */

/**
 * Beginning of the line, meaning, where it is defined. A longer beginning stands before a shorter one.
 * @type {readonly [start: string, meaning: string, reference: string][]}
 */
const MEANINGS = [
  ["v=", "Version of SDP: always 0.", "RFC 8866 §5.1"],
  ["o=", "Origin: a random session id, and a version that grows with each new description. The address is a placeholder.", "RFC 8866 §5.2"],
  ["s=", "Name of the session: none.", "RFC 8866 §5.3"],
  ["t=", "When it takes place: 0 0 means without limit.", "RFC 8866 §5.9"],
  ["a=group:BUNDLE", "All sections listed share one transport, so one pair of addresses serves everything.", "RFC 9143"],
  ["a=extmap-allow-mixed", "Header extensions of audio and video may be mixed in length. Nothing to data.", "RFC 8285 §6"],
  ["a=msid-semantic", "An old way to name media streams. Nothing to data.", "RFC 8830"],
  ["m=application", "The one section: data channels over SCTP, inside DTLS, over UDP. Port 9 is a placeholder, the candidates have the real ones.", "RFC 8841 §4"],
  ["m=", "A section for media, which Crowfly does not use.", "RFC 8866 §5.14"],
  ["c=", "The address to send to: a placeholder, the candidates have the real ones.", "RFC 8866 §5.7"],
  ["a=ice-ufrag", "Name fragment of this side for the ICE checks; a new one means an ICE restart.", "RFC 8839 §5.4"],
  ["a=ice-pwd", "Password that proves that a check belongs to this session.", "RFC 8839 §5.4"],
  ["a=ice-options", "trickle: candidates may follow later, one by one.", "RFC 8840 §4.1"],
  ["a=ice-lite", "This side only answers checks.", "RFC 8839 §5.3"],
  ["a=fingerprint", "Hash of this side's certificate. The DTLS handshake must show the same one: whoever can change this line could put themselves in the middle.", "RFC 8122 §5"],
  ["a=setup:actpass", "Either side may begin the DTLS handshake; the answer decides.", "RFC 8842 §5.2"],
  ["a=setup:active", "This side begins the DTLS handshake.", "RFC 8842 §5.3"],
  ["a=setup:passive", "This side waits for the DTLS handshake.", "RFC 8842 §5.3"],
  ["a=tls-id", "Names this DTLS association.", "RFC 8842 §4"],
  ["a=mid", "Label of this section; candidates refer to it.", "RFC 5888 §4"],
  ["a=sctp-port", "Port of SCTP inside DTLS. It has nothing to do with UDP ports.", "RFC 8841 §5"],
  ["a=sctpmap", "The same, in the way of an old draft.", "RFC 8841 (draft)"],
  ["a=max-message-size", "The largest message in bytes this side takes in one piece. Crowfly cuts larger ones up.", "RFC 8841 §6"],
  ["a=candidate", "An address at which this side may be reached.", "RFC 8839 §5.1"],
  ["a=end-of-candidates", "No more candidates will follow.", "RFC 8840 §8.2"],
  ["a=sendrecv", "Both directions. Data channels always have both.", "RFC 8866 §6.7"],
];

/**
 * @param {string} sdp
 * @returns {{ line: string, meaning: string, reference: string }[]}
 */
export function explainSdp(sdp) {
  return sdp.split(/\r?\n/).filter(Boolean).map((line) => {
    const [, meaning = "", reference = ""] = MEANINGS.find(([start]) => line.startsWith(start)) ?? [];
    return { line, meaning, reference };
  });
}
