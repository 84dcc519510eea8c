// One of two people with the PeerJS client: `role=wait` waits under an id, `role=join` connects to it on a click.
// `early`: the joiner's socket to the server is open before the click; `id`: the joiner has an id of its own, which spares it the
// request by which the server would draw one.
import { parameters, show, timed } from "./clock.js";

const { role, server, name, early, id, iceServers } = parameters;
const ownId = id ? `${name}-joiner` : undefined;
const { hostname, port } = new URL(server);
const options = { host: hostname, port: Number(port), path: "/", config: { iceServers: JSON.parse(iceServers) } };

/** A peer whose socket is open. */
const open = (id) => new Promise((resolve, reject) => {
  const peer = new Peer(id, options);
  peer.on("open", () => resolve(peer));
  peer.on("error", reject);
});

if (role === "wait") {
  const peer = await open(name);
  peer.on("connection", (connection) => connection.on("open", () => show("open")));
  show("waiting");
} else {
  const ready = early ? await open(ownId) : null;
  timed(async (done) => {
    const peer = ready ?? await open(ownId);
    const connection = peer.connect(name, { reliable: true });
    connection.on("open", done);
  });
}
