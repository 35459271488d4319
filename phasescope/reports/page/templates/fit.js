/* What has no room in a narrow figure: on a phone, and in one of two columns on paper. */

// About what a letter takes in a figure's fonts, and what stands beside the plot, in pixels.
const LETTER = 6.4;
const BESIDE = 90;

/** What a scale of colours takes of the width. */
function besides(traces) {
  return traces.some((trace) => trace.colorbar || (trace.marker && trace.marker.colorbar)) ? 50 : 0;
}

/** Words over as many lines as it takes; what is in brackets below what they explain, where that does. */
function broken(text, letters) {
  const [before, after] = text.split(/ (?=\()/, 2);
  if (after && before.length <= letters && after.length <= letters) return `${before}<br>${after}`;
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines[lines.length - 1];
    if (line && line.length + 1 + word.length > letters) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines.join("<br>");
}

/** Which labels can stand beside each other, the last one in any case; `places` and `widths` in pixels. */
function apart(places, widths, gap) {
  const kept = [];
  for (let i = places.length - 1; i >= 0; i -= 1) {
    const right = kept[0];
    if (right === undefined || places[i] + widths[i] / 2 + gap <= places[right] - widths[right] / 2) kept.unshift(i);
  }
  return kept;
}

/** A layout whose titles are broken, and whose labels are left out, where `width` pixels have no room for them. */
function fitted(layout, width) {
  const room = Math.max(width - BESIDE, 120);
  for (const [name, axis] of Object.entries(layout)) {
    if (!/^xaxis\d*$/.test(name)) continue;
    const [from, to] = axis.domain || [0, 1];
    const wide = room * (to - from);
    const title = axis.title && axis.title.text;
    if (title && !title.includes("<br>") && title.length * LETTER > wide) axis.title.text = broken(title, wide / LETTER);
    if (!axis.ticktext || !axis.range || axis.type === "log") continue;
    const scale = wide / (axis.range[1] - axis.range[0]);
    const kept = apart(axis.tickvals.map((at) => (at - axis.range[0]) * scale), axis.ticktext.map((text) => text.length * LETTER), 5);
    axis.tickvals = kept.map((i) => axis.tickvals[i]);
    axis.ticktext = kept.map((i) => axis.ticktext[i]);
  }
  const { range } = layout.xaxis || {};
  const words = (layout.annotations || []).filter((note) => note.xref === "x" && note.yref === "paper");
  if (range && words.length) {
    const scale = room / (range[1] - range[0]);
    const widest = words.map((note) => Math.max(...note.text.split("<br>").map((line) => line.length)) * 5.6);
    const kept = apart(words.map((note) => (note.x - range[0]) * scale), widest, 3);
    const left = new Set(words.filter((_, i) => !kept.includes(i)));
    layout.annotations = layout.annotations.filter((note) => !left.has(note));
  }
  return layout;
}
