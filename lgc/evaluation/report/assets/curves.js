// Rate against distortion, perception and analysis: one Plotly chart a kind of metric, one filter for all and the tables.
(() => {
  const PREFERRED = ["ms_ssim", "analysis.attribute_detection"];
  const shown = new Set(codecs.filter((c) => c === data.main || !data.ours.includes(c)));
  const charts = [];
  const fine = matchMedia("(pointer: fine)").matches;

  const told = (point, axis) => {
    const [value, low, high] = point.values[axis.id];
    return [
      point.key + (point.floor ? " (floor)" : ""), `${point.values.bpp[0].toFixed(4)} bits per pixel`,
      `${axis.label}: ${digits(value)}` + (low < high ? ` [${digits(low)}, ${digits(high)}]` : ""),
      ...Object.entries(point.about).map(([name, text]) => `${name}: ${text}`),
    ];
  };
  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const hover = (lines) => lines.map((line, i) => (i ? escaped(line) : `<b>${escaped(line)}</b>`)).join("<br>");

  const traces = (axis) => {
    const found = [];
    for (const codec of codecs.filter((c) => shown.has(c))) {
      const line = data.points.filter((p) => p.codec === codec && p.values[axis.id])
        .sort((a, b) => a.values.bpp[0] - b.values.bpp[0]);
      if (!line.length) continue;
      const ours = data.ours.includes(codec), colour = style(variable(codec));
      const of = (end) => line.map((p) => Math.abs(p.values[axis.id][end] - p.values[axis.id][0]));
      found.push({
        type: "scatter", mode: "lines+markers", name: codec,
        x: line.map((p) => p.values.bpp[0]), y: line.map((p) => p.values[axis.id][0]),
        error_y: { type: "data", symmetric: false, array: of(2), arrayminus: of(1), thickness: 1, width: 3, color: colour },
        line: { color: colour, width: ours ? 3 : 1.5, dash: ours && codec !== data.main ? "dash" : "solid" },
        marker: { color: colour, size: ours ? 11 : 8, symbol: symbol(codec)[0] },
        text: line.map((p) => hover(told(p, axis))), hovertemplate: "%{text}<extra></extra>",
        customdata: line.map((p) => told(p, axis).join(", ")),
      });
      const floors = line.filter((p) => p.floor);
      if (floors.length) found.push({
        type: "scatter", mode: "markers", hoverinfo: "skip", x: floors.map((p) => p.values.bpp[0] / 1.06),
        y: floors.map((p) => p.values[axis.id][0]),
        marker: { symbol: "line-ns", size: 26, line: { color: colour, width: 3 } },
      });
    }
    return found;
  };

  const layout = (axis) => {
    const original = data.points.find((p) => p.codec === "original" && p.values[axis.id]);
    const grid = style("--line"), soft = style("--soft");
    const level = original && original.values[axis.id][0];
    return {
      margin: { l: 54, r: 14, t: 10, b: 44 }, showlegend: false, hovermode: "closest", dragmode: fine ? "zoom" : false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: soft },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: style("--accent") },
      hoverlabel: { bgcolor: style("--ink"), bordercolor: style("--ink"), font: { color: style("--paper"), size: 12 }, align: "left" },
      xaxis: { type: "log", title: { text: "bits per pixel (real files)", standoff: 8 }, gridcolor: grid, zeroline: false,
        dtick: "D2", tickformat: "~g" },
      yaxis: { gridcolor: grid, zeroline: false, automargin: true },
      shapes: original ? [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: level, y1: level,
        line: { color: soft, width: 1.2, dash: "dot" } }] : [],
      annotations: original ? [{ xref: "paper", x: 1, y: level, text: "originals", showarrow: false, xanchor: "right",
        yanchor: "bottom", bgcolor: style("--panel") }] : [],
    };
  };

  // Plotly answers to a pointer; these make each point answer to Tab too
  const reachable = (chart) => {
    const drawn = [...chart.querySelectorAll(".scatterlayer .trace")];
    chart.data.forEach((trace, number) => {
      if (!trace.customdata) return;
      drawn[number].querySelectorAll(".points path").forEach((path, i) => {
        path.setAttribute("tabindex", "0");
        path.setAttribute("role", "img");
        path.setAttribute("aria-label", trace.customdata[i]);
        path.onfocus = () => Plotly.Fx.hover(chart, [{ curveNumber: number, pointNumber: i }]);
        path.onblur = () => Plotly.Fx.unhover(chart);
      });
    });
  };

  const draw = ({ chart, select, mark }) => {
    const axis = data.metrics.find((m) => m.id === select.value);
    mark.textContent = axis.trained ? `† ${axis.trained}` : "";
    chart.setAttribute("aria-label", `${axis.label} over bits per pixel`);
    const options = { responsive: true, displaylogo: false, displayModeBar: fine ? "hover" : false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
    Plotly.react(chart, traces(axis), layout(axis), options).then(() => reachable(chart));
  };

  for (const [kind, title] of Object.entries(data.kinds)) {
    const axes = data.metrics.filter((m) => m.kind === kind);
    if (!axes.length) continue;
    const figure = make("figure", { class: "panel", id: `curve-${kind}` });
    const caption = make("figcaption"), select = make("select", { "aria-label": `${title}: metric` });
    for (const axis of axes) select.append(make("option", { value: axis.id }, axis.label));
    const usual = PREFERRED.find((id) => axes.some((axis) => axis.id === id));
    if (usual) select.value = usual;
    const chart = make("div", { class: "plot", role: "group" }), mark = make("p", { class: "mark" });
    caption.append(make("b", {}, title), select);
    figure.append(caption, chart, mark);
    byId("panels").append(figure);
    const entry = { chart, select, mark };
    charts.push(entry);
    select.addEventListener("change", () => draw(entry));
  }
  const all = () => charts.forEach(draw);

  const filterTables = () => {
    for (const row of document.querySelectorAll("#codecs tr[data-codec], #encoders tr[data-codec]"))
      row.hidden = codecs.includes(row.dataset.codec) && !shown.has(row.dataset.codec);
  };
  for (const codec of codecs) {
    const label = make("label"), box = make("input", { type: "checkbox", value: codec });
    box.checked = shown.has(codec);
    box.addEventListener("change", () => {
      box.checked ? shown.add(codec) : shown.delete(codec);
      all();
      filterTables();
    });
    const glyph = make("span", { class: "glyph", "aria-hidden": "true", style: `color:var(${variable(codec)})` }, symbol(codec)[1]);
    label.append(box, glyph, codec === data.main ? `${codec} (ours)` : codec);
    byId("filter").append(label);
  }
  all();
  filterTables();
  document.addEventListener("theme", all);
})();
