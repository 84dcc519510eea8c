// What both pages share: their parameters, the state shown to the driver, and the clock from the click to the open channel.

export const parameters = Object.fromEntries(new URLSearchParams(location.search));

export function show(state) {
  document.documentElement.dataset.state = state;
}

/** Runs `connect` on the click; the time is from the input event itself, as the browser stamped it, to `done`. */
export function timed(connect) {
  document.getElementById("go").addEventListener("click", (event) => {
    connect(() => {
      globalThis.took = performance.now() - event.timeStamp;
      show("open");
    }).catch((error) => show(`failed: ${error}`));
  }, { once: true });
  show("ready");
}
