// One of two people with Crowfly's client: `role=wait` makes a room and waits, `role=join` joins it on a click.
// `early`: what can be done before the click has been done (the client's `prepare`). `sealed`: a room without a name, joined by its link.
import { createRoom, joinRoom, prepare } from "/client/index.js";
import { parameters, show, timed } from "./clock.js";

const { role, server, name, early, sealed } = parameters;

if (role === "wait") {
  const room = await createRoom({ server, ...(!sealed && { name }) });
  document.documentElement.dataset.place = room.link;
  room.addEventListener("peer", ({ peer }) => peer.addEventListener("open", () => show("open")));
  show("waiting");
} else {
  if (early) prepare({ server });
  timed(async (done) => {
    const room = await joinRoom(name, { server });
    const follow = (peer) => {
      globalThis.peer = peer;
      if (peer.states.channel === "open") done();
      else peer.addEventListener("open", done);
    };
    if (room.peer) follow(room.peer);
    else room.addEventListener("peer", ({ peer }) => follow(peer));
  });
}
