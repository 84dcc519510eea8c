/**
 * One trace record as a line that can be read: time, kind in colour and in words, name, and a short detail.
 */
import { el } from "./dom.js";

/** @typedef {import("../client/types.d.ts").TraceRecord} TraceRecord */

/** @type {Record<TraceRecord["kind"], string>} */
const KINDS = {
  call: "call", event: "event", state: "state", send: "sent", receive: "received", message: "message", note: "note", error: "error",
};
const LONGEST = 160;

/** @param {TraceRecord} record */
export function traceLine(record) {
  const { t, kind, name, ms, stage } = record;
  return el("li", { "data-kind": kind },
    el("span", { class: "t", title: stage ? `Stage ${stage}` : null }, `${(t / 1000).toFixed(3)} s`), " ",
    el("span", { class: "kind" }, KINDS[kind] ?? String(kind)), " ",
    el("code", {}, name), " ",
    el("span", { class: "detail", dir: "auto" }, detailOf(record), ms === undefined ? "" : ` ${ms.toFixed(1)} ms`));
}

/**
 * A state by name and value.
 * @param {string} name
 * @param {string} value
 */
export function chip(name, value) {
  return el("span", { class: "chip", "data-state": value, "data-name": name }, el("span", { class: "chip-name" }, name), " ", value);
}

/** @param {TraceRecord} record */
function detailOf({ kind, detail }) {
  if (!detail) return "";
  if (kind === "state") return `${detail.from} → ${detail.to}`;
  const text = Object.entries(detail)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([key, value]) => `${key}: ${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(", ")
    .replace(/\s+/g, " ");
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
