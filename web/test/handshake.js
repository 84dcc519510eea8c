/**
 * Holds a trace against docs/handshake.md: its `trace` and `states` blocks, and what never happens. Used with fakes and with browsers.
 */
import { readFileSync } from "node:fs";

/** @import { Role, TraceRecord } from "../client/types.d.ts" */

/**
 * One line of a `trace` block.
 * @typedef {object} Rule
 * @property {number} stage
 * @property {string} text as written
 * @property {Role} peer @property {string} kind @property {string[]} names any of them
 * @property {Record<string, string[]>} detail any of the values
 * @property {boolean} required @property {boolean} repeats
 * @property {string | null} after null: it has its place in the order
 */

const document = readFileSync(new URL("../../docs/handshake.md", import.meta.url), "utf8");

/** @type {readonly Rule[]} */
export const rules = blocks("trace").flatMap(({ info, lines }) => lines.map((line) => readRule(line, Number(/stage=(\d)/.exec(info)?.[1]))));
const courses = blocks("states").flatMap(({ lines }) => lines.map(readCourse));

/**
 * Everything in which a trace departs from the document; nothing, if it does not.
 * @param {readonly TraceRecord[]} records of one peer, from its beginning
 * @returns {string[]}
 */
export function departures(records) {
  const peer = records[0]?.peer;
  if (!peer) return ["an empty trace"];
  const own = rules.filter((rule) => rule.peer === peer);
  return [...missing(records, own), ...outOfOrder(records, own), ...unexplained(records, own), ...wrongCourses(records, peer), ...forbidden(records)];
}

/** @param {string} language */
function blocks(language) {
  return [...document.matchAll(new RegExp(`^\`\`\`${language}([^\\n]*)\\n([^]*?)^\`\`\``, "gm"))].map(([, info = "", body = ""]) => ({
    info,
    lines: body.split("\n").filter((line) => line.trim() !== ""),
  }));
}

/** @param {string} text @param {number} stage @returns {Rule} */
function readRule(text, stage) {
  const [words = "", after = null] = text.split(/\s+after\s+/);
  const [peer, kind = "", names = "", ...marks] = words.split(/\s+/);
  const mark = marks.find((word) => !word.includes("=")) ?? "once";
  if ((peer !== "PEER1" && peer !== "PEER2") || !["once", "optional", "repeated", "any"].includes(mark)) throw new Error(`not a rule: ${text}`);
  const detail = Object.fromEntries(marks.filter((word) => word.includes("=")).map((word) => [word.split("=")[0], (word.split("=")[1] ?? "").split("|")]));
  return {
    stage,
    text,
    peer,
    kind,
    names: names.split("|"),
    detail,
    required: mark === "once" || mark === "repeated",
    repeats: mark === "repeated" || mark === "any",
    after,
  };
}

/** A course of states as a regular expression over the states' names. @param {string} line */
function readCourse(line) {
  const [peer, name, ...course] = line.trim().split(/\s+/);
  const pattern = course
    .join(" ")
    .replace(/[a-z]+(-[a-z]+)*/g, (state) => `<${state}>`)
    .replaceAll(" ", "");
  return { peer, name, line: line.trim(), pattern: new RegExp(`^${pattern}$`) };
}

/** @param {Rule} rule @param {TraceRecord} record */
function matches(rule, record) {
  return (
    rule.kind === record.kind &&
    rule.names.includes(record.name) &&
    Object.entries(rule.detail).every(([key, values]) => values.includes(String(record.detail?.[key])))
  );
}

/** The records of the handshake a rule stands for. @param {readonly TraceRecord[]} records @param {Rule} rule */
function found(records, rule) {
  return records.flatMap((record, at) => (record.stage !== null && matches(rule, record) ? [at] : []));
}

/** @param {readonly TraceRecord[]} records @param {Rule[]} own */
function missing(records, own) {
  return own.flatMap((rule) => {
    const { length } = found(records, rule);
    if (rule.required && length === 0) return [`missing: ${rule.text}`];
    return !rule.repeats && length > 1 ? [`${length} times: ${rule.text}`] : [];
  });
}

/** @param {readonly TraceRecord[]} records @param {Rule[]} own */
function outOfOrder(records, own) {
  /** @type {string[]} */ const complaints = [];
  let last = -1;
  for (const rule of own) {
    const [first] = found(records, rule);
    if (first === undefined) continue;
    if (rule.after === null) {
      if (first < last) complaints.push(`too early: ${rule.text}`);
      last = Math.max(last, first);
      continue;
    }
    if (rule.after === "nothing") continue;
    const before = records.findIndex((record, at) => at < first && record.name === rule.after);
    if (before < 0) complaints.push(`too early: ${rule.text}`);
  }
  return complaints;
}

/** @param {readonly TraceRecord[]} records @param {Rule[]} own */
function unexplained(records, own) {
  return records.flatMap((record) => {
    if (record.stage === null) return [];
    const rule = own.find((candidate) => matches(candidate, record));
    if (!rule) return [`not in the document: ${JSON.stringify(record)}`];
    return rule.stage === record.stage ? [] : [`stage ${record.stage} instead of ${rule.stage}: ${rule.text}`];
  });
}

/** @param {readonly TraceRecord[]} records @param {Role} peer */
function wrongCourses(records, peer) {
  return courses.flatMap((course) => {
    if (course.peer !== peer) return [];
    const changes = records.filter(({ kind, name }) => kind === "state" && name === course.name);
    const states = changes.flatMap(({ detail }, at) => (at === 0 ? [detail?.from, detail?.to] : [detail?.to]));
    const joins = changes.every(({ detail }, at) => at === 0 || detail?.from === changes[at - 1]?.detail?.to);
    const text = states.map((state) => `<${state}>`).join("");
    return joins && course.pattern.test(text) ? [] : [`${course.name} ran ${states.join(" ")}, not ${course.line}`];
  });
}

/** "What never happens", as far as one trace shows it. @param {readonly TraceRecord[]} records */
function forbidden(records) {
  /** @type {string[]} */ const complaints = [];
  const described = records.find(({ kind, name }) => kind === "call" && name === "setRemoteDescription");
  // In whole microseconds, which is what a trace has: their sums as fractions are off by less than one.
  const inPlace = described ? Math.round((described.t + (described.ms ?? Infinity)) * 1000) : Infinity;
  const added = records.filter(({ stage, name }) => stage !== null && name === "addIceCandidate");
  if (added.some(({ t }) => Math.round(t * 1000) < inPlace)) complaints.push("a candidate was added before the remote description was in place");
  const names = added.map(({ detail }) => String(detail?.candidate));
  if (new Set(names).size !== names.length) complaints.push("a candidate was added twice");
  // Later negotiations bring candidates of their own.
  const buffered = records.filter(({ name }) => name === "candidate-buffered").length;
  const flushed = records.filter(({ name }) => name === "candidates-flushed").reduce((sum, { detail }) => sum + Number(detail?.count), 0);
  if (buffered !== flushed) complaints.push(`${buffered} candidates were buffered, ${flushed} flushed`);
  return complaints;
}
