/**
 * From the click on "join" to the open data channel: ours beside PeerJS, in Chromium, taking turns.
 *
 *     node join/run.js [ROUNDS=50] [DELAY=0]
 *
 * Both have the same page, the same ICE servers (our STUN), a peer that waits already, and a page that has loaded and come to rest.
 * DELAY: milliseconds each way between both browsers and the server, which is what signaling costs outside one machine.
 * @module
 */

import { crowfly, pages, peerjs } from "./servers.js";
import { far } from "./far.js";
import { Stage } from "./stage.js";

const [rounds = 50, delay = 0] = process.argv.slice(2).map(Number);

const site = await pages();
const ours = await crowfly([site]);
const servers = { crowfly: await far(ours.url, delay), peerjs: await far((await peerjs()).url, delay) };
const stage = await Stage.open(site, JSON.stringify(ours.iceServers));

/** @type {{ name: string, page: keyof typeof servers, early?: string, id?: string, sealed?: string }[]} */
const CONTENDERS = [
  { name: "crowfly, all after the click", page: "crowfly" },
  { name: "PeerJS, all after the click: `new Peer()`", page: "peerjs" },
  { name: "PeerJS, the same with an id of one's own", page: "peerjs", id: "own" },
  { name: "crowfly, prepared", page: "crowfly", early: "1" },
  { name: "crowfly, sealed, all after the click", page: "crowfly", sealed: "1" },
  { name: "crowfly, sealed, prepared", page: "crowfly", early: "1", sealed: "1" },
  { name: "PeerJS, socket open", page: "peerjs", early: "1", id: "own" },
];
const PAGE = "crowfly's own page: name typed, Join clicked";
const FLOOR = ["no signaling, two connections in one page", "no signaling, connections made before"];

/** @type {Map<string, number[]>} */
const times = new Map([...CONTENDERS.map(({ name }) => name), PAGE, ...FLOOR].map((name) => [name, []]));
/** @type {Map<string, { took: number, trace: string }[]>} */
const traces = new Map();

for (let round = 0; round < rounds; round += 1) {
  for (const [index, { name, page, early = "", id = "", sealed = "" }] of CONTENDERS.entries()) {
    const { took, trace } = await stage.join({ page, server: servers[page], early, id, sealed, name: `bench-${process.pid}-${round}-${index}` });
    times.get(name)?.push(took);
    if (trace) traces.set(name, [...(traces.get(name) ?? []), { took, trace }]);
  }
  times.get(PAGE)?.push((await stage.joinAtPage({ server: servers.crowfly, name: `bench-${process.pid}-${round}-page` })).took);
  for (const [index, name] of FLOOR.entries()) times.get(name)?.push(await stage.floor(index === 1));
  process.stderr.write(`\r${round + 1} of ${rounds}`);
}
report();
await stage.close();
process.exit(0);

function report() {
  console.log(`\nclick → channel open at the joiner, ms; ${rounds} each, taking turns; ${delay} ms each way to the server\n`);
  console.log("| | median | p10 | p90 | of PeerJS |\n|---|---|---|---|---|");
  const theirs = quantile(times.get(CONTENDERS[1].name) ?? [], 0.5);
  for (const [name, all] of times) {
    const [median, ...others] = [0.5, 0.1, 0.9].map((part) => quantile(all, part));
    console.log(`| ${name} | ${[median, ...others].map((ms) => ms.toFixed(1)).join(" | ")} | ${(median / theirs).toFixed(2)} |`);
  }
  for (const [name, all] of traces) {
    all.sort((one, other) => one.took - other.took);
    const { took, trace } = all[Math.floor(all.length / 2)];
    console.log(`\nwhere the time goes: the joiner's trace of a round of “${name}” of ${took.toFixed(1)} ms; t in ms from the trace's beginning\n`);
    for (const line of trace.trim().split("\n").slice(1)) {
      const { t, kind, name, ms } = JSON.parse(line);
      console.log(`${t.toFixed(1).padStart(8)}  ${kind.padEnd(8)} ${name}${ms === undefined ? "" : ` (${ms.toFixed(1)})`}`);
    }
  }
}

/** @param {number[]} values @param {number} part */
function quantile(values, part) {
  const sorted = [...values].sort((one, other) => one - other);
  const place = (sorted.length - 1) * part;
  const [low, high] = [Math.floor(place), Math.ceil(place)];
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
}
