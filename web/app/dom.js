/**
 * The only place that makes elements. Text goes in as text nodes: nothing a peer sends, and nothing we write, is ever parsed as HTML.
 */

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * `el("button", { class: "primary", test: "leave", click: leave }, "Leave")`: a function is a listener, `true` an empty
 * attribute, `false` and null are left out, `test` is short for `data-testid`.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false && value != null) element.setAttribute(name === "test" ? "data-testid" : name, value === true ? "" : String(value));
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

/**
 * A drawing out of index.html; it says nothing to a screen reader.
 * @param {string} name
 * @param {string} [look] its class
 */
export function icon(name, look = "icon") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", look);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Two places, the winding road between them, and the crow on its straight way. */
export function flight() {
  return icon("flight", "flight");
}

/**
 * Said by screen readers when they have a moment, seen by nobody.
 * @param {string} text
 */
export function announce(text) {
  const region = document.getElementById("polite");
  if (region) region.textContent = text;
}

/**
 * Makes of `draw` a function that may be called any number of times and draws once, before the next paint. In a hidden tab, where no
 * frame comes and timers are slow, it draws at once, but again only after a pause: a flood is drawn in batches there, too.
 * @param {() => void} draw
 */
export function batched(draw) {
  let scheduled = false;
  let last = -Infinity;
  return () => {
    if (scheduled) return;
    scheduled = true;
    let done = false;
    const run = () => {
      if (done) return;
      done = true;
      scheduled = false;
      cancelAnimationFrame(frame);
      clearTimeout(timer);
      last = performance.now();
      draw();
    };
    const frame = requestAnimationFrame(run);
    const timer = setTimeout(run, PAUSE);
    if (document.hidden && performance.now() - last > PAUSE) queueMicrotask(run);
  };
}

/** Milliseconds. */
const PAUSE = 200;

/**
 * Sets text only when it differs, so that live regions speak once.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Moves focus to what is not a control, as a heading is, when a view opens.
 * @param {HTMLElement} element
 */
export function focusOn(element) {
  if (element.tabIndex < 0) element.tabIndex = -1;
  element.focus();
}

/** @param {number} size */
export function bytes(size) {
  if (size < 1000) return `${size} B`;
  const unit = Math.min(Math.floor(Math.log10(size) / 3), 4);
  return `${(size / 1000 ** unit).toPrecision(3)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

const hoursAndMinutes = new Intl.DateTimeFormat([], { timeStyle: "short" });

/** @param {Date} date */
export function clock(date) {
  return hoursAndMinutes.format(date);
}
