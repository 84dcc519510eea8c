// Where it cannot work, or only half: a browser without WebRTC, a page over plain http, a page from elsewhere.

import assert from "node:assert/strict";
import { createServer } from "node:http";

import { KINDS, scenario } from "./harness.js";
import { Person, byId } from "./person.js";

/** @typedef {import("./browsers.js").Kind} Kind */

for (const kind of KINDS) {
  for (const [what, spy] of /** @type {[string, () => void][]} */ ([
    ["WebRTC", () => { delete (/** @type {any} */ (globalThis)).RTCPeerConnection; }],
    ["WebRTC", () => { delete (/** @type {any} */ (RTCPeerConnection.prototype)).createDataChannel; }],
    ["WebSocket", () => { delete (/** @type {any} */ (globalThis)).WebSocket; }],
  ])) {
    scenario(`${kind}: without ${what} (${String(spy).match(/\w+(?=;)/)}) the start page says so, and so does a link`, async (stage) => {
      const server = await stage.serve();
      for (const url of [server.url, `${server.url}#some-room`]) {
        const ann = await Person.at(stage, kind, url, { spy });
        await ann.sees("unsupported");
        assert.match(await ann.text("unsupported"), new RegExp(`has no ${what},`));
        assert.equal(await ann.isShown("start-create"), false);
      }
      assert.equal(await server.metric("crowfly_connections"), 0);
    });
  }

  scenario(`${kind}: over plain http from another computer, the page says so and works`, async (stage) => {
    const server = await stage.serve();
    // As browsers have it where a page is no secure context.
    const spy = () => {
      Object.defineProperty(globalThis, "isSecureContext", { value: false });
      for (const name of ["subtle", "randomUUID"]) delete (/** @type {any} */ (Crypto.prototype))[name];
      for (const name of ["clipboard", "share", "storage", "serviceWorker"]) delete (/** @type {any} */ (Navigator.prototype))[name];
    };
    const ann = await Person.at(stage, kind, server.url, { spy });
    await ann.sees("insecure");
    const link = await ann.create();
    await ann.click("copy-link");
    await ann.visitor.until((/** @type {string} */ selector) => document.querySelector(selector)?.textContent === "Copied", byId("copy-link"));
    const ben = await Person.at(stage, kind, link, { spy });
    await Promise.all([ann.connected(), ben.connected()]);
    await ben.say("hello");
    await ann.hears(1);
    const cay = await Person.at(stage, kind, server.url);
    await cay.sees("start-create");
    assert.equal(await cay.isShown("insecure"), false, "127.0.0.1 is as good as https");
  });

  scenario(`${kind}: a page of another origin may import the client, and is refused its WebSocket before the upgrade`, async (stage) => {
    const elsewhere = createServer((_, response) => response.setHeader("content-type", "text/html").end("<!doctype html><title>elsewhere</title><link rel=icon href=data:,>"));
    await new Promise((resolve) => elsewhere.listen(0, "127.0.0.1", () => resolve(null)));
    stage.finally(() => elsewhere.close());
    const origin = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (elsewhere.address()).port}`;
    const [closed, open] = [await stage.serve(), await stage.serve("--origin", origin)];
    const visitor = await stage.visit(kind, origin, { expect: [/to another host|\/ws\b/] });

    const opened = (/** @type {string} */ url) => new Promise((resolve) => {
      const socket = new WebSocket(url);
      /** @type {string[]} */
      const events = [];
      for (const type of ["open", "message", "error", "close"]) {
        socket.addEventListener(type, (event) => {
          events.push(event instanceof CloseEvent ? `${type} ${event.code}` : type);
          if (type === "message" || type === "close") resolve(events);
        });
      }
    });
    assert.deepEqual(await visitor.run(opened, `ws://${closed.host}/ws`), ["error", "close 1006"]);
    assert.deepEqual(await visitor.run(opened, `ws://${open.host}/ws`), ["open", "message"]);
    assert.equal(await closed.metric("crowfly_http_requests_total", 'status="403"'), 1, "refused before the upgrade");

    const joins = async (/** @type {string} */ url) => {
      const { createRoom } = await import(`${url}client/index.js`);
      try {
        const room = await createRoom({ server: url });
        await room.leave();
        return "made a room";
      } catch (error) {
        return /** @type {{ code?: string }} */ (error).code;
      }
    };
    assert.equal(await visitor.run(joins, closed.url), "server-unreachable");
    assert.equal(await visitor.run(joins, open.url), "made a room");
  });
}

scenario("firefox: WebRTC turned off in its settings is said on the start page", async (stage) => {
  const server = await stage.serve();
  const ann = await Person.at(stage, "firefox", server.url, { own: true, prefs: { "media.peerconnection.enabled": false } });
  await ann.sees("unsupported");
});
