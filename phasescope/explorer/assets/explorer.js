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
  // Dash calls its lists of boxes listboxes, whose options must not hold what has the focus, as the boxes do: they are
  // groups of boxes. What it hides from who hears the page must not have the focus either.
  const set = (element, attribute, value) => {
    if (element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
  };
  const group = () => {
    for (const hidden of document.querySelectorAll(".dash-dropdown-focus-target")) {
      set(hidden, "tabindex", "-1");
      const button = hidden.parentElement.querySelector("button.dash-dropdown");
      if (button) set(button, "tabindex", "0");
    }
    const opened = document.querySelector("button.dash-dropdown[aria-expanded=true]");
    const label = opened && document.querySelector(`label[for="${opened.id}"]`);
    for (const dialog of document.querySelectorAll(".dash-dropdown-content")) {
      if (label) set(dialog, "aria-label", label.textContent);
    }
    for (const list of document.querySelectorAll(".dash-options-list")) {
      set(list, "role", "group");
      const legend = list.closest("fieldset") && list.closest("fieldset").querySelector("legend");
      const called = legend || label;
      if (called) set(list, "aria-label", called.textContent);
    }
    for (const option of document.querySelectorAll(".dash-options-list-option[role], .dash-options-list-option[aria-selected]")) {
      option.removeAttribute("role");
      option.removeAttribute("aria-selected");
    }
  };
  const attributeFilter = ["role", "aria-selected", "tabindex", "aria-expanded"];
  new MutationObserver(() => {
    name();
    group();
  }).observe(root, { childList: true, subtree: true, attributeFilter });

  // The address says what is shown, so that it can be kept or reloaded, and the browser's back undoes a choice. A slide
  // over many steps is one choice.
  const PAUSE = 1500;
  let shown = null;
  const remember = (address, place, seed) => {
    const what = JSON.stringify([place, seed]);
    const sliding = shown !== null && what === shown.what && Date.now() - shown.since < PAUSE && shown.slid;
    if (address !== location.search) {
      if (shown === null || sliding) history.replaceState(null, "", address);
      else history.pushState(null, "", address);
    }
    shown = { what, since: Date.now(), slid: shown !== null && what === shown.what };
  };
  // Before Dash hears it, which takes an address for known that it has seen before.
  addEventListener("popstate", (event) => {
    event.stopImmediatePropagation();
    window.dash_clientside.set_props("went", { data: { to: location.search, at: Date.now() } });
  });

  const element = (tag, text, look) => {
    const made = document.createElement(tag);
    // As text, whatever is in it.
    if (text !== undefined) made.textContent = text;
    if (look) made.className = look;
    return made;
  };
  const put = (id, ...children) => {
    const place = document.getElementById(id);
    if (place) place.replaceChildren(...children);
  };
  const cell = (found) => {
    const made = element("td");
    if (!found) return made;
    const word = element("span", found.name, found.lasting ? "word lasting" : "word");
    const swatch = element("span", undefined, "swatch");
    swatch.style.backgroundColor = found.colour;
    const number = element("span", undefined, "number");
    number.append(swatch, found.cosine);
    made.title = found.title;
    made.append(word, number, element("span", found.place, "place"));
    return made;
  };
  const row = (...cells) => {
    const made = element("tr");
    made.append(...cells);
    return made;
  };
  const heading = (text, scope, look) => {
    const made = element("th", text, look);
    made.scope = scope;
    return made;
  };

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    explorer: {
      step: (at, names) => (names && names.length ? names[Math.min(at, names.length - 1)] : "…"),
      neighbours: (found) => {
        if (!found) return;
        const table = element("table");
        table.createTHead().append(
          row(heading(found.noun, "row"), ...found.steps.map((step) => heading(step.label, "col", step.here ? "here" : ""))),
        );
        const body = found.rows.map((cells, rank) => row(heading(rank + 1, "row"), ...cells.map(cell)));
        table.createTBody().append(...body);
        const at = found.steps.find((step) => step.here);
        const around = element("ol", undefined, "around");
        around.append(...found.here.map((cell) => element("li", `${cell.title} ${cell.place}, ${cell.cosine}`)));
        put("neighbours", table, element("p", at ? `In their texts, at ${found.noun} ${at.label}:` : "", "note"), around);
      },
      text: (parts) => {
        const shown = (parts || []).map((part) => {
          if (typeof part === "string") return part;
          const mark = element("mark", part.text);
          mark.title = part.title;
          mark.style.backgroundColor = part.background || "";
          mark.style.color = part.ink || "";
          return mark;
        });
        put("text", ...shown);
      },
          address: (place, seed, at, steps) => {
        if (!place) return window.dash_clientside.no_update;
        const asked = new URLSearchParams({ size: place.size, component: place.component, layer: place.layer });
        if (place.head !== null) asked.set("head", place.head);
        if (seed !== null && seed !== undefined) asked.set("seed", seed);
        if (steps && steps.length) asked.set("step", steps[Math.min(at, steps.length - 1)]);
        remember("?" + asked, place, seed);
        return asked.toString();
      },
    },
  });
})();
