"use strict";
(() => {
  const figures = new Map();
  const config = {
    displaylogo: false,
    responsive: true,
    // Named one by one: the usual set has a button that sends the figure to a server.
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    showSendToCloud: false,
    plotlyServerURL: "",
  };
  // A page of A4 is about this wide, in CSS pixels, between its margins; two figures beside each other have a gap.
  const printWidth = 660;
  const printGap = 22;
  // So that two figures with their captions find room below each other.
  const printHeight = 0.75;

  function widthOnPaper(figure) {
    const alone = figure.matches(":last-child:nth-child(odd)") || !figure.parentElement.matches(".panels");
    return alone ? printWidth : (printWidth - printGap) / 2;
  }

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  /** Arrays that several curves share, and the hover texts of heat maps, are in the page once: put them back. */
  function expand(trace, shared) {
    const whole = {};
    for (const [name, value] of Object.entries(trace)) {
      whole[name] = value && typeof value.shared === "number" ? shared[value.shared] : value;
    }
    if (whole.type === "heatmap" && whole.meta && whole.meta.rows) {
      const { steps, rows } = whole.meta;
      whole.customdata = rows.map(() => steps);
      whole.text = rows.map((name) => steps.map(() => name));
    }
    return whole;
  }

  function state(figure) {
    if (!figures.has(figure)) {
      const { data, shared, layout } = JSON.parse(figure.querySelector("script.drawing").textContent);
      const packed = figure.querySelector("script.variants");
      const names = figure.dataset.controls.split(" ").filter(Boolean);
      const first = data.map((trace) => expand(trace, shared));
      figures.set(figure, { first, layout, names, packed: packed && packed.textContent, variants: null, drawn: false });
    }
    return figures.get(figure);
  }

  /** What the reader chose for a figure, or null while everything is as it was at first. */
  function choice(figure) {
    const form = figure.closest(".part").querySelector("form.controls");
    const selects = state(figure).names.map((name) => form && form.elements.namedItem(name)).filter(Boolean);
    return selects.some((select) => select.selectedIndex > 0) ? selects.map((select) => select.value).join("|") : null;
  }

  function show(figure, data, onPaper = null) {
    const known = state(figure);
    const plot = figure.querySelector(".plot");
    known.drawn = true;
    watcher.unobserve(figure);
    plot.classList.toggle("unsupported", data === null);
    if (data === null) {
      Plotly.purge(plot);
      plot.textContent = "There is nothing to show for this choice.";
      return;
    }
    if (!plot.querySelector(".main-svg")) plot.textContent = "";
    plot.classList.toggle("cells", data.some((trace) => trace.type === "heatmap"));
    const layout = fitted(structuredClone(known.layout), (onPaper ?? plot.clientWidth) - besides(data));
    const height = onPaper === null ? layout.height : Math.round(printHeight * layout.height);
    plot.style.height = `${height}px`;
    Plotly.react(plot, data, onPaper === null ? layout : { ...layout, width: onPaper, height }, config);
  }

  /** The traces of what the reader chose, or null where there is nothing; of a figure whose variants are unpacked.
   *  An entry of a variant with a type is a whole trace; one without changes a few fields of the first drawing's. */
  function unpacked(figure) {
    const known = state(figure);
    const key = choice(figure);
    if (key === null) return known.first;
    const patches = known.variants && known.variants[key];
    return patches ? patches.map((patch, i) => expand(patch.type ? patch : { ...known.first[i], ...patch }, [])) : null;
  }

  async function chosen(figure) {
    const known = state(figure);
    if (choice(figure) !== null && known.packed) known.variants ??= JSON.parse(await unpack(known.packed));
    return unpacked(figure);
  }

  async function draw(figure) {
    show(figure, await chosen(figure));
  }

  async function save(figure) {
    const rows = dataOf((await chosen(figure)) || [], state(figure).layout);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csvOf(rows)], { type: "text/csv" }));
    link.download = `${figure.dataset.name}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  const all = [...document.querySelectorAll("figure")];
  // Browsers lay out what is folded away, at a width that need not be the final one.
  const folded = (figure) => figure.closest("details:not([open])") !== null;
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting && !folded(target)) draw(target);
    },
    { rootMargin: "800px" },
  );

  /** What is in sight is drawn at once; the rest when it comes near. */
  function drawOrWatch(figure) {
    const { top, bottom } = figure.getBoundingClientRect();
    watcher.unobserve(figure); // observed anew, it reports anew where it stands
    if (!folded(figure) && bottom > 0 && top < window.innerHeight) draw(figure);
    else watcher.observe(figure);
  }

  function start() {
    all.forEach(drawOrWatch);
    for (const details of document.querySelectorAll("details")) {
      details.addEventListener("toggle", () => {
        [...details.querySelectorAll("figure")].filter((figure) => !state(figure).drawn).forEach(drawOrWatch);
      });
    }
    for (const button of document.querySelectorAll("button.csv")) {
      button.addEventListener("click", () => save(button.closest("figure")));
    }
    for (const form of document.querySelectorAll("form.controls")) {
      form.addEventListener("change", (event) => {
        for (const figure of form.closest(".part").querySelectorAll("figure")) {
          const known = state(figure);
          if (!known.names.includes(event.target.name)) continue;
          // What is not drawn yet is unpacked, for printing cannot wait for it.
          if (known.drawn) draw(figure);
          else chosen(figure);
        }
      });
    }
    // Paper cannot be unfolded.
    const unfolded = [];
    const forPaper = new Set();
    window.addEventListener("beforeprint", () => {
      for (const details of document.querySelectorAll("details:not([open])")) {
        details.open = true;
        unfolded.push(details);
      }
      for (const figure of all) {
        const plot = figure.querySelector(".plot");
        if (!state(figure).drawn) forPaper.add(figure);
        if (!state(figure).drawn || plot.layout) show(figure, unpacked(figure), widthOnPaper(figure));
      }
    });
    window.addEventListener("afterprint", () => {
      for (const details of unfolded.splice(0)) details.open = false;
      for (const figure of all) {
        const plot = figure.querySelector(".plot");
        if (!plot.layout) continue;
        // Plotly cannot give a width of the page's to what never had one, or to what is folded again.
        Plotly.purge(plot);
        plot.textContent = "";
        plot.style.height = `${state(figure).layout.height}px`;
        state(figure).drawn = false;
        drawOrWatch(figure);
      }
      forPaper.clear();
    });
  }

  for (const form of document.querySelectorAll("form.controls")) {
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  const packedLibrary = document.getElementById("plotly-packed");
  if (!packedLibrary) {
    start();
  } else {
    unpack(packedLibrary.textContent).then((code) => {
      const script = document.createElement("script");
      script.textContent = code;
      document.head.append(script);
      start();
    });
  }
})();
