/**
 * What the page weighs: every byte over the wire from the start page to an open chat, heads included, and to whom requests went.
 *
 *     node join/weight.js
 * @module
 */

import puppeteer from "puppeteer-core";

import { crowfly } from "./servers.js";

const server = await crowfly();
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding", "--disable-background-networking", "--no-first-run"],
});

const first = await person(server.url);
await first.page.click('[data-testid="start-create"]');
const link = await first.page.waitForSelector('[data-testid="room-link"]');
const second = await person(String(await link?.evaluate((element) => element.textContent)).trim());
for (const { page } of [first, second]) await page.waitForSelector('[data-testid="chat-input"]', { visible: true });
await Promise.all([first, second].map(({ page }) => page.waitForNetworkIdle({ idleTime: 1000 })));

report("who makes the room", first.traffic);
report("who joins by link", second.traffic);
await browser.close();
process.exit(0);

/** Opens an address in a fresh profile, with every request written down. @param {string} url */
async function person(url) {
  const page = await (await browser.createBrowserContext()).newPage({ type: "window" });
  const client = await page.createCDPSession();
  await client.send("Network.enable");
  /** @type {Map<string, { url: string, bytes: number }>} */
  const requests = new Map();
  const traffic = { requests, frames: 0 };
  client.on("Network.requestWillBeSent", ({ requestId, request }) => requests.set(requestId, { url: request.url, bytes: 0 }));
  client.on("Network.webSocketCreated", ({ requestId, url }) => requests.set(requestId, { url, bytes: 0 }));
  client.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => Object.assign(requests.get(requestId) ?? {}, { bytes: encodedDataLength }));
  for (const event of /** @type {const} */ (["Network.webSocketFrameReceived", "Network.webSocketFrameSent"])) {
    client.on(event, ({ response }) => { traffic.frames += response.payloadData.length; });
  }
  await page.goto(url);
  return { page, traffic };
}

/** @param {string} who @param {Awaited<ReturnType<typeof person>>["traffic"]} traffic */
function report(who, { requests, frames }) {
  const all = [...requests.values()].filter(({ url }) => /^(http|ws)/.test(url));
  const bytes = all.reduce((sum, request) => sum + request.bytes, 0);
  const strangers = all.filter(({ url }) => new URL(url).host !== new URL(server.url).host);
  console.log(`\n${who}: ${all.length} requests, ${bytes} bytes received (${(bytes / 1000).toFixed(1)} KB), heads included; signaling ${frames} bytes`);
  console.log(`requests to anyone else: ${strangers.length ? strangers.map(({ url }) => url).join(", ") : "none"}`);
  for (const { url, bytes } of all.sort((one, other) => other.bytes - one.bytes)) console.log(`${String(bytes).padStart(8)}  ${url.replace(server.url, "/")}`);
}
