/**
 * A server that is farther away: a TCP proxy that holds everything back for a while, both ways.
 * @module
 */

import { once } from "node:events";
import { connect, createServer } from "node:net";

/**
 * The address of `url` from a distance of `oneWay` milliseconds. Whoever connects waits a round trip longer for the first answer, as
 * TCP's own handshake would make them.
 * @param {string} url @param {number} oneWay
 */
export async function far(url, oneWay) {
  if (oneWay === 0) return url;
  const { hostname, port } = new URL(url);
  const server = createServer({ noDelay: true }, (near) => {
    const behind = connect({ host: hostname, port: Number(port), noDelay: true });
    const handshake = performance.now() + 2 * oneWay;
    near.on("data", (chunk) => setTimeout(() => behind.write(chunk), Math.max(oneWay, handshake + oneWay - performance.now())));
    behind.on("data", (chunk) => setTimeout(() => near.write(chunk), oneWay));
    for (const [from, to] of [[near, behind], [behind, near]]) {
      from.on("close", () => setTimeout(() => to.destroy(), 4 * oneWay));
      from.on("error", () => {});
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref();
  return `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}/`;
}
