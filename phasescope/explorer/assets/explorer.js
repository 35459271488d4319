// What the page does by itself: light and dark, its own address, a key that starts a probe.
(() => {
  "use strict";
  const KEY = "phasescope-theme";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const apply = () => {
    root.dataset.theme = localStorage.getItem(KEY) || (dark.matches ? "dark" : "light");
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("click", (event) => {
    if (!event.target.closest || !event.target.closest("#theme")) return;
    localStorage.setItem(KEY, root.dataset.theme === "dark" ? "light" : "dark");
    apply();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.id === "live-text") {
      document.getElementById("live-go").click();
    }
  });

  // Dash names its controls by their values alone: a reader that speaks should hear "Layer 3", not "3".
  const name = () => {
    for (const label of document.querySelectorAll("label[for]")) {
      const control = document.getElementById(label.htmlFor);
      if (!control || !control.matches(".dash-dropdown")) continue;
      label.id = label.htmlFor + "-label";
      const known = control.getAttribute("aria-labelledby") || "";
      if (!known.includes(label.id)) control.setAttribute("aria-labelledby", label.id + " " + known);
    }
    const slider = document.querySelector("#step [role=slider]");
    if (slider) slider.setAttribute("aria-labelledby", "step-label");
  };
  new MutationObserver(name).observe(root, { childList: true, subtree: true });

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    explorer: {
      // The address says what is shown, so that it can be kept or reloaded.
      address: (place, seed, at, steps) => {
        if (!place) return window.dash_clientside.no_update;
        const asked = new URLSearchParams({ size: place.size, component: place.component, layer: place.layer });
        if (place.head !== null) asked.set("head", place.head);
        if (seed !== null && seed !== undefined) asked.set("seed", seed);
        if (steps && steps.length) asked.set("step", steps[Math.min(at, steps.length - 1)]);
        history.replaceState(null, "", "?" + asked);
        return asked.toString();
      },
    },
  });
})();
