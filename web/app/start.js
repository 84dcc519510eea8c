/**
 * The first page: make a room, or join one; step by step or not; and what the server can and cannot see.
 */
import { parseRoom } from "../client/index.js";
import { el, flight } from "./dom.js";

/** @typedef {import("./problem.js").Problem} Problem */
/** @typedef {"create" | "join"} FormId */
/**
 * @typedef {object} StartOptions
 * @property {boolean} steps whether step by step is chosen
 * @property {string[]} lacks what the browser has not, and a connection needs
 * @property {string} [typed] what stands in the join field
 * @property {{ form: FormId, problem: Problem, offerRoom?: string }} [failed] what went wrong, shown at its field
 * @property {(name: string) => Promise<Problem | null>} onCreate
 * @property {(target: string) => Promise<Problem | null>} onJoin
 * @property {(on: boolean) => void} onSteps
 * @property {() => void} onLikely joining is likely to follow
 */

/** @param {StartOptions} options */
export function startView(options) {
  const heading = el("h1", { tabindex: -1 }, "Talk directly to one other person");
  const create = createForm(options);
  const join = joinForm(options);
  if (options.failed) (options.failed.form === "create" ? create : join).fail(options.failed.problem);
  const element = el("div", { class: "start" },
    el("div", { class: "hero" },
      el("div", {}, heading, el("p", { class: "lead" }, "Make a room, hand over its link, and your two browsers connect. What you write and the files you send go the direct way.")),
      flight()),
    ...(options.lacks.length ? [lack(options.lacks)] : [el("div", { class: "doors" }, create.element, join.element), stepSwitch(options)]),
    sight());
  return { element, focus: () => (options.failed ? join.focus() : heading.focus()) };
}

/** Said before anybody tries. @param {string[]} lacks */
function lack(lacks) {
  return el("div", { class: "card", role: "alert", test: "unsupported" },
    el("h2", {}, "This browser cannot connect"),
    el("p", {}, `It has no ${lacks.join(" and no ")}, which makes the direct connection. Settings, an extension or an administrator may have turned it off. If not, open this page in a current browser.`));
}

/** @param {StartOptions} options */
function createForm({ onCreate }) {
  const input = el("input", {
    id: "start-name", test: "start-name", name: "room-name", maxlength: 200, autocomplete: "off", autocapitalize: "none", spellcheck: "false",
    "aria-describedby": "start-name-hint",
  });
  return form({
    title: "Make a room",
    input,
    label: el("label", { for: "start-name" }, "Name ", el("span", { class: "optional" }, "(optional)")),
    hint: el("p", { class: "hint", id: "start-name-hint" }, "Without one, link and code hold a secret that the server does not know. A room with a name of your own has none."),
    button: el("button", { class: "primary", type: "submit", test: "start-create" }, "Make a room"),
    busy: () => "Making the room…",
    submit: () => onCreate(input.value.trim()),
  });
}

/** @param {StartOptions} options */
function joinForm({ typed = "", onJoin, onLikely }) {
  const input = el("input", {
    id: "join-input", test: "join-input", name: "room-link", value: typed, maxlength: 2000, autocomplete: "off", autocapitalize: "none",
    spellcheck: "false", inputmode: "url", enterkeyhint: "go", "aria-describedby": "join-hint", input: onLikely,
  });
  return form({
    title: "Join a room",
    input,
    label: el("label", { for: "join-input" }, "Link, code or name"),
    hint: el("p", { class: "hint", id: "join-hint" }, "Paste the link you were given, or type the code or name."),
    button: el("button", { class: "primary", type: "submit", test: "join-button", pointerdown: onLikely }, "Join"),
    // The one part of joining that takes a while here, and not because of a network.
    busy: () => (isCode(input.value) ? "Making the key out of the words…" : "Joining…"),
    submit: async () => (input.value.trim() ? onJoin(input.value.trim()) : { code: "empty", text: "Nothing to join yet.", advice: "Paste a link or type a room name." }),
  });
}

/**
 * A card with one field, whose errors are shown and told at the field.
 * @param {{ title: string, input: HTMLInputElement, label: HTMLElement, hint: HTMLElement, button: HTMLButtonElement, busy: () => string,
 *   submit: () => Promise<Problem | null> }} parts
 */
function form({ title, input, label, hint, button, busy, submit }) {
  const error = el("div", { class: "field-error", id: `${input.id}-error`, role: "alert" });
  const idle = button.textContent ?? "";
  /** @param {Problem | null} problem */
  const show = (problem) => {
    error.replaceChildren(...(problem ? [el("p", { test: "error", "data-code": problem.code }, el("strong", {}, problem.text), " ", problem.advice)] : []));
    input.toggleAttribute("aria-invalid", false);
    if (problem) input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", problem ? `${error.id} ${hint.id}` : hint.id);
  };
  const element = el("form", {
    class: "card", "aria-label": title, novalidate: true,
    submit: async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      if (button.getAttribute("aria-disabled")) return;
      show(null);
      button.setAttribute("aria-disabled", "true");
      button.textContent = busy();
      const problem = await submit();
      button.removeAttribute("aria-disabled");
      button.textContent = idle;
      show(problem);
      if (problem) input.focus();
    },
  }, el("h2", {}, title), el("div", { class: "field" }, label, input, error, hint), button);
  return { element, fail: show, focus: () => input.focus() };
}

/** @param {StartOptions} options */
function stepSwitch({ steps, onSteps }) {
  const input = el("input", {
    type: "checkbox", role: "switch", id: "step-switch", test: "step-switch", checked: steps, "aria-describedby": "step-hint",
    change: (/** @type {Event} */ event) => onSteps(/** @type {HTMLInputElement} */ (event.target).checked),
  });
  return el("div", { class: "choice" }, input,
    el("div", {}, el("label", { for: "step-switch" }, "Step by step"),
      el("p", { class: "hint", id: "step-hint" }, "For the curious: you make every WebRTC call yourself, one button at a time, and see what each of them does.")));
}

/** What the server can and cannot see. Said plainly: an open room is not verified. */
function sight() {
  /**
   * @param {string} title
   * @param {string[]} points
   */
  const list = (title, points) => el("div", {}, el("h3", {}, title), el("ul", {}, ...points.map((point) => el("li", {}, point))));
  return el("section", { class: "sight", "aria-labelledby": "sight-title" },
    el("h2", { id: "sight-title" }, "What the server sees"),
    el("div", { class: "columns" },
      list("It can see", [
        "The name of the room, and when two people meet in it.",
        "The network addresses of both.",
        "In a room with a name of your own: the connection descriptions it passes on. A dishonest server could put itself in the middle, and the room is “not verified”.",
      ]),
      list("It does not see", [
        "The secret in link and code. In such a room it cannot read the connection descriptions nor change them.",
        "Your messages and files: they are encrypted between the two browsers and take the direct way. Where there is none they go through its relay, which sees only how much, and for how long.",
      ])),
    el("p", { class: "hint" }, "Direct means that the other person can learn your network address, too."),
    !isSecureContext && el("p", { class: "warning", test: "insecure" }, "This page came unencrypted, over plain http: whoever controls the network in between could have changed it. Open it over https if the server offers that."));
}

/** Whether words stand there. @param {string} text */
function isCode(text) {
  try {
    return parseRoom(text).words !== null;
  } catch {
    return false;
  }
}
