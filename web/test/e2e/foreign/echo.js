/**
 * The other side of `crates/peer/examples/every_channel.rs`, for anything that offers W3C WebRTC: a browser's page or a library for node.
 * @module
 */

/**
 * A function without a world around it: it runs in a page too. Makes a connection that sends back what it hears.
 * `description` makes ours, of their offer or on our own; `accept` takes their answer.
 * @param {{ RTCPeerConnection: any, channels: { label: string, options: RTCDataChannelInit }[] }} given
 */
export function echo({ RTCPeerConnection: Connection, channels }) {
  const connection = new Connection();
  const PING = 8, PONG = 9, GOODBYE = 10;

  /** Of the main channel: a ping is answered, messages go back as they are. */
  const answer = (/** @type {any} */ channel, /** @type {any} */ data) => {
    const frame = new Uint8Array(data);
    const kind = frame[0] & 0x0f;
    if (kind === PING) channel.send(Uint8Array.from([PONG, ...frame.slice(1)]));
    else if (kind !== PONG && kind !== GOODBYE) channel.send(frame);
  };
  const sendBack = (/** @type {any} */ channel) => {
    channel.binaryType = "arraybuffer";
    channel.onmessage = (/** @type {any} */ { data }) => (channel.protocol === "crowfly.1" ? answer(channel, data) : channel.send(data));
    return channel;
  };
  /** References, or a collector of garbage takes a channel that only its events hold. */
  const kept = [sendBack(connection.createDataChannel("agreed", { negotiated: true, id: 100 }))];
  connection.ondatachannel = (/** @type {any} */ { channel }) => kept.push(sendBack(channel));
  const open = () => {
    for (const { label, options } of channels) kept.push(sendBack(connection.createDataChannel(`theirs: ${label}`, options)));
  };
  const gathered = () =>
    new Promise((resolve) => {
      const look = () => connection.iceGatheringState === "complete" && resolve(undefined);
      connection.onicegatheringstatechange = look;
      look();
    });
  /** @param {string} text */
  const accept = (text) => connection.setRemoteDescription(JSON.parse(text));

  return {
    /** @param {string} [offer] */
    async description(offer) {
      if (offer === undefined) {
        kept.push(sendBack(connection.createDataChannel("crowfly", { protocol: "crowfly.1" })));
        open();
        await connection.setLocalDescription(await connection.createOffer());
      } else {
        await accept(offer);
        open();
        await connection.setLocalDescription(await connection.createAnswer());
      }
      await gathered();
      const { type, sdp } = connection.localDescription;
      return JSON.stringify({ type, sdp });
    },
    accept,
    close: () => connection.close(),
  };
}

/** What `kinds` of the Rust program are, as W3C WebRTC has them. */
export const CHANNELS = [
  { label: "ordered", options: {} },
  { label: "unordered", options: { ordered: false } },
  { label: "ordered, 5 retransmits", options: { maxRetransmits: 5 } },
  { label: "unordered, 5 retransmits", options: { ordered: false, maxRetransmits: 5 } },
  { label: "ordered, 5 s", options: { maxPacketLifeTime: 5000 } },
  { label: "unordered, 5 s", options: { ordered: false, maxPacketLifeTime: 5000 } },
  { label: "protocol", options: { protocol: "echo.1" } },
];
