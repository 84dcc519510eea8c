/**
 * From the click on "join" to the open data channel: ours beside PeerJS, in Chromium, taking turns.
 *
 *     node join/run.js [ROUNDS=50]
 *
 * Both have the same page, the same ICE servers (our STUN), a peer that waits already, and a page that has loaded and come to rest.
 * Twice each: with everything left to the click, and with what can be done before it.
 * @module
 */

import puppeteer from "puppeteer-core";

import { crowfly, pages, peerjs } from "./servers.js";

const ROUNDS = Number(process.argv[2] ?? 50);
const CHROMIUM = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
/** A page at rest: nothing of its loading is counted. */
const REST = 400;
const LIMIT = 30_000;

const site = await pages();
const ours = await crowfly([site]);
const theirs = await peerjs();
const browser = await puppeteer.launch({
  executablePath: CHROMIUM,
  // Two people have two windows; neither is in the background.
  args: ["--no-sandbox", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding", "--disable-background-networking", "--no-first-run"],
});

const CONTENDERS = [
  { name: "crowfly", page: "crowfly", server: ours.url, early: "" },
  { name: "PeerJS", page: "peerjs", server: theirs.url, early: "" },
  { name: "crowfly, prepared", page: "crowfly", server: ours.url, early: "1" },
  { name: "PeerJS, socket open", page: "peerjs", server: theirs.url, early: "1" },
];

const iceServers = JSON.stringify(ours.iceServers);
/** @type {Map<string, number[]>} */
const times = new Map(CONTENDERS.map(({ name }) => [name, []]));
/** @type {{ took: number, trace: string }[]} */
const traces = [];

for (let round = 0; round < ROUNDS; round += 1) {
  for (const contender of CONTENDERS) {
    const { took, trace } = await join(contender, `bench-${process.pid}-${round}${contender.early}`);
    times.get(contender.name)?.push(took);
    if (trace && !contender.early) traces.push({ took, trace });
  }
  process.stderr.write(`\r${round + 1} of ${ROUNDS}`);
}
report();
await browser.close();
process.exit(0);

/** One pairing of two fresh profiles. @param {typeof CONTENDERS[number]} contender @param {string} name */
async function join({ page, server, early }, name) {
  const url = (/** @type {string} */ role) => `${site}/${page}.html?${new URLSearchParams({ role, server, name, early, iceServers })}`;
  const waiting = await open(url("wait"));
  await state(waiting, "waiting");
  const joining = await open(url("join"));
  await state(joining, "ready");
  await new Promise((resolve) => setTimeout(resolve, REST));
  await joining.click("#go");
  await Promise.all([state(joining, "open"), state(waiting, "open")]);
  const result = await joining.evaluate(() => ({ took: globalThis.took, trace: globalThis.peer?.trace.toJSONLines() }));
  await Promise.all([joining, waiting].map((page) => page.browserContext().close()));
  return result;
}

async function open(/** @type {string} */ url) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage({ type: "window" });
  page.on("pageerror", (error) => console.error(`${url}: ${error}`));
  await page.goto(url);
  return page;
}

async function state(/** @type {import("puppeteer-core").Page} */ page, /** @type {string} */ wanted) {
  await page.waitForFunction((wanted) => {
    const state = document.documentElement.dataset.state ?? "";
    if (state.startsWith("failed")) throw new Error(state);
    return state === wanted;
  }, { timeout: LIMIT }, wanted);
}

function report() {
  console.log(`\nclick → channel open at the joiner, ms; ${ROUNDS} each, taking turns`);
  console.log("\n| | median | p10 | p90 |\n|---|---|---|---|");
  for (const [name, all] of times) console.log(`| ${name} | ${[0.5, 0.1, 0.9].map((part) => quantile(all, part).toFixed(1)).join(" | ")} |`);
  const [a, b, c, d] = CONTENDERS.map(({ name }) => quantile(times.get(name) ?? [], 0.5));
  console.log(`\nours takes ${(a / b).toFixed(2)} of PeerJS's time; prepared ${(c / d).toFixed(2)} of PeerJS's with its socket open, ${(c / b).toFixed(2)} of PeerJS's`);
  traces.sort((one, other) => one.took - other.took);
  const middle = traces[Math.floor(traces.length / 2)];
  if (!middle) return;
  console.log(`\nwhere the time goes: our trace of a round of ${middle.took.toFixed(1)} ms, t in ms from its beginning\n`);
  for (const line of middle.trace.trim().split("\n").slice(1)) {
    const { t, kind, name, ms } = JSON.parse(line);
    console.log(`${t.toFixed(1).padStart(8)}  ${kind.padEnd(8)} ${name}${ms === undefined ? "" : ` (${ms.toFixed(1)})`}`);
  }
}

/** @param {number[]} values @param {number} part */
function quantile(values, part) {
  const sorted = [...values].sort((one, other) => one - other);
  const place = (sorted.length - 1) * part;
  const [low, high] = [Math.floor(place), Math.ceil(place)];
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
}
