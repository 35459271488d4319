/* The numbers of a figure as rows, and rows as CSV. */

/** Text without the tags and entities that plotly reads in labels. */
function plainText(label) {
  const entities = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };
  return String(label).replace(/<[^>]*>/g, " ").replace(/&(lt|gt|amp);/g, (entity) => entities[entity]).trim();
}

/** One row per point or cell. `meta` of a trace names what is in `customdata`, and which axes are data beside it. */
function dataOf(traces, layout) {
  const title = (place, usual) => {
    const axis = layout[place.replace(/^([xy])/, "$1axis")] || {};
    return plainText((axis.title && axis.title.text) || usual);
  };
  const told = (value) => (typeof value === "string" ? plainText(value) : value);
  const several = traces.filter((trace) => !trace.fill && trace.hoverinfo !== "skip").length > 1;
  const rows = [];
  for (const trace of traces) {
    if (trace.fill || trace.hoverinfo === "skip") continue;
    if (trace.type === "heatmap") {
      const value = plainText((trace.colorbar.title && trace.colorbar.title.text) || "value");
      const across = (trace.meta && trace.meta.across) || "step";
      trace.z.forEach((cells, row) => {
        cells.forEach((cell, column) => {
          rows.push({ site: trace.text[row][0], [across]: trace.customdata[row][column], [value]: cell });
        });
      });
      continue;
    }
    const { columns = [], axes = "xy", part = null } = trace.meta || {};
    if (!columns.length && !axes) continue;
    trace.y.forEach((y, i) => {
      const row = {};
      if (part !== null) row.part = part;
      if (several) row.curve = plainText(trace.name || "");
      const held = trace.customdata ? [trace.customdata[i]].flat() : [];
      columns.forEach((name, place) => { row[name] = told(held[place]); });
      if (axes.includes("x")) row[title(trace.xaxis || "x", "x")] = told(trace.x[i]);
      if (axes.includes("y")) row[title(trace.yaxis || "y", "y")] = told(y);
      rows.push(row);
    });
  }
  return rows;
}

function csvOf(rows) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    // A spreadsheet would run what begins like this.
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [names, ...rows.map((row) => names.map((name) => row[name]))]
    .map((line) => line.map(cell).join(","))
    .join("\r\n") + "\r\n";
}
