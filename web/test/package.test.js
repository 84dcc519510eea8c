/**
 * The npm package as a stranger gets it: packed, installed into an empty folder, imported, and its types used by tsc.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const client = fileURLToPath(new URL("../client/", import.meta.url));
const project = new URL("../../", import.meta.url);
const tsc = fileURLToPath(new URL("../node_modules/.bin/tsc", import.meta.url));

/** A program of somebody else's. The error expected shows that the types are there: without them all would be `any`. */
const CONSUMER = `
import { CrowflyError, createRoom, joinRoom, type Peer, type Room } from "crowfly";
const room: Room = await createRoom({ server: "https://crowfly.example" });
room.addEventListener("peer", ({ peer }: { peer: Peer }) => void peer.send(new Uint8Array(3)));
await joinRoom(room.link).catch((error) => console.log(error instanceof CrowflyError && error.code));
// @ts-expect-error
room.nonsense;
`;

test("packed and installed, it can be imported, brings its types and licences, and nothing that is not meant for others", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "crowfly-package-"));
  t.after(() => rm(folder, { recursive: true }));
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: client });
  const [packed] = JSON.parse(stdout);
  const names = packed.files.map((/** @type {{ path: string }} */ { path }) => path).sort();
  const scripts = (await readdir(client)).filter((name) => name.endsWith(".js"));
  assert.deepEqual(names, [...scripts, "LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json", "types.d.ts"].sort());

  await writeFile(join(folder, "package.json"), '{"type":"module","private":true}');
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", join(folder, packed.filename)], { cwd: folder });
  const source = 'import * as door from "crowfly"; console.log(Object.keys(door).sort().join(" "));';
  const imported = await run(process.execPath, ["--input-type=module", "--eval", source], { cwd: folder });
  assert.equal(imported.stdout.trim(), "CrowflyError createRoom joinRoom missing parseRoom prepare");

  await writeFile(join(folder, "consumer.ts"), CONSUMER);
  for (const resolution of [["--module", "nodenext"], ["--module", "esnext", "--moduleResolution", "bundler"]]) {
    const options = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2023,dom,dom.iterable", "--types", "", ...resolution, "consumer.ts"];
    await run(tsc, options, { cwd: folder }).catch(({ stdout: told }) => assert.fail(told));
  }
});

test("its licences are those of the project", async () => {
  for (const name of ["LICENSE-APACHE", "LICENSE-MIT"]) {
    assert.equal(await readFile(join(client, name), "utf8"), await readFile(new URL(name, project), "utf8"), name);
  }
});
