/**
 * The other side of `crates/peer/examples/every_channel.rs`, on libdatachannel: `node libdatachannel.js offer` or `answer`.
 * Descriptions are lines on stdin and stdout, as JSON.
 * @module
 */

import { createInterface } from "node:readline";

import { RTCPeerConnection } from "node-datachannel/polyfill";

import { CHANNELS, echo } from "./echo.js";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
/** @returns {Promise<string>} */
const line = async () => (await lines.next()).value ?? "";
const tell = (/** @type {string} */ text) => process.stdout.write(`${text}\n`);

const connection = echo({ RTCPeerConnection, channels: CHANNELS });
if (process.argv[2] === "offer") {
  // It takes an answer's password for ICE before its fingerprint for DTLS (0.24.5), and refuses the certificate of who is secure between
  // the two. So nobody is told where it is: it speaks first, once it has taken all of the answer.
  tell((await connection.description()).replace(/a=candidate:.*?\\r\\n/g, ""));
  await connection.accept(await line());
} else {
  tell(await connection.description(await line()));
}
// Until whoever started this is done. The library's threads would keep the process alive.
await line();
connection.close();
process.exit();
