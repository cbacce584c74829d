(() => {
  const NS = "http://www.w3.org/2000/svg";
  const draw = (parent, tag, attributes = {}, text) => {
    const element = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };

  const tip = byId("tip");
  const showTip = (lines, x, y) => {
    tip.replaceChildren(make("b", {}, lines[0]), ...lines.slice(1).map((line) => make("div", {}, line)));
    tip.hidden = false;
    const width = tip.offsetWidth;
    tip.style.left = `${Math.max(8, Math.min(x + 14, scrollX + innerWidth - width - 8))}px`;
    tip.style.top = `${y + 14}px`;
  };
  const hideTip = () => { tip.hidden = true; };

  const niceTicks = (low, high, count) => {
    const raw = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
    const ticks = [];
    for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-6; v += step) ticks.push(v);
    return ticks;
  };
  const logTicks = (low, high) => {
    const ticks = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
      for (const m of [1, 2, 5]) if (m * 10 ** e >= low && m * 10 ** e <= high) ticks.push(m * 10 ** e);
    return ticks;
  };
  const tickText = (v) => String(Number(v.toPrecision(3)));

  const objectives = data.objectives, values = Object.keys(data.space);
  const axes = [
    ...objectives.map((o) => ({ id: o.name, label: `${o.label} (${o.goal === "min" ? "lower" : "higher"} is better)`,
      of: (t) => t.objectives[o.name], better: o.goal })),
    ...values.map((name) => ({ id: name, label: name.replaceAll("_", " "), of: (t) => t.values[name],
      log: data.space[name].log })),
  ];
  const finished = data.trials.filter((t) => t.state === "finished");
  for (const id of ["x", "y", "size"])
    for (const axis of axes) byId(id).append(make("option", { value: axis.id }, axis.label));
  ["x", "y", "size"].forEach((id, number) => { byId(id).value = objectives[number].name; });
  const axis = (id) => axes.find((a) => a.id === byId(id).value);

  const scale = (chosen, from, to) => {
    const all = finished.map(chosen.of);
    let low = Math.min(...all), high = Math.max(...all);
    if (chosen.log) {
      low /= 1.15;
      high *= 1.15;
      return { at: (v) => from + (Math.log(v / low) / Math.log(high / low)) * (to - from), ticks: logTicks(low, high) };
    }
    const room = (high - low) * 0.08 || Math.abs(high) * 0.05 || 0.01;
    low -= room;
    high += room;
    return { at: (v) => from + ((v - low) / (high - low)) * (to - from), ticks: niceTicks(low, high, 7) };
  };
  const lines = (t) => [
    `trial ${t.trial}${t.trial === data.present ? ", params.yaml as it was" : ""}${t.on_front ? ", on the front" : ""}`,
    ...objectives.map((o) => `${o.label}: ${t.objectives[o.name].toFixed(4)}`),
    ...values.map((name) => `${name.replaceAll("_", " ")}: ${t.values[name]}`),
  ];

  const plot = () => {
    const holder = byId("plot");
    holder.replaceChildren();
    const narrow = innerWidth < 768;
    const W = narrow ? 640 : 1000, H = narrow ? 560 : 460;
    const edge = { left: 76, right: 30, top: 24, bottom: narrow ? 64 : 52 };
    const [across, up, size] = ["x", "y", "size"].map(axis);
    const svg = draw(holder, "svg", { viewBox: `0 0 ${W} ${H}`, role: "group", "aria-label": `${up.label} over ${across.label}` });
    if (!finished.length) {
      draw(svg, "text", { x: W / 2, y: H / 2, "text-anchor": "middle" }, "No trial has finished");
      return;
    }
    const X = scale(across, edge.left, W - edge.right), Y = scale(up, H - edge.bottom, edge.top);
    const S = scale(size, size.better === "min" ? 14 : 5, size.better === "min" ? 5 : 14);
    for (const v of Y.ticks) {
      draw(svg, "line", { class: "gridline", x1: edge.left, x2: W - edge.right, y1: Y.at(v), y2: Y.at(v) });
      draw(svg, "text", { x: edge.left - 8, y: Y.at(v) + 4, "text-anchor": "end" }, tickText(v));
    }
    for (const v of X.ticks) {
      draw(svg, "line", { class: "gridline", x1: X.at(v), x2: X.at(v), y1: edge.top, y2: H - edge.bottom });
      draw(svg, "text", { x: X.at(v), y: H - edge.bottom + (narrow ? 24 : 18), "text-anchor": "middle" }, tickText(v));
    }
    draw(svg, "text", { x: (edge.left + W - edge.right) / 2, y: H - 10, "text-anchor": "middle" }, across.label);
    draw(svg, "text", { x: 16, y: (H - edge.bottom + edge.top) / 2, "text-anchor": "middle",
      transform: `rotate(-90 16 ${(H - edge.bottom + edge.top) / 2})` }, up.label);
    for (const t of [...finished].sort((a, b) => a.on_front - b.on_front)) {
      const x = X.at(across.of(t)), y = Y.at(up.of(t)), r = S.at(size.of(t));
      const told = lines(t);
      const g = draw(svg, "g", { class: "point", tabindex: 0, role: "img", "aria-label": told.join(", ") });
      draw(g, "circle", { class: "halo", cx: x, cy: y, r: r + 8, fill: "var(--accent)" });
      if (t.trial === data.present)
        draw(g, "circle", { cx: x, cy: y, r: r + 4, fill: "none", stroke: "var(--ink)", "stroke-width": 1.5 });
      draw(g, "circle", { cx: x, cy: y, r, stroke: "var(--accent)", "stroke-width": 1.6,
        fill: t.on_front ? "var(--accent)" : "var(--panel)", "fill-opacity": 0.75 });
      draw(g, "text", { x: x + r + 4, y: y - r, class: "name" }, String(Number(t.trial)));
      g.addEventListener("pointerenter", (e) => showTip(told, e.pageX, e.pageY));
      g.addEventListener("pointerleave", hideTip);
      g.addEventListener("focus", () => {
        const box = g.getBoundingClientRect();
        showTip(told, box.left + scrollX, box.bottom + scrollY);
      });
      g.addEventListener("blur", hideTip);
    }
  };

  const columns = [
    { label: "trial", of: (t) => t.trial }, { label: "state", of: (t) => t.state },
    { label: "front", of: (t) => (t.on_front ? "●" : "") },
    ...objectives.map((o) => ({ label: o.label, of: (t) => t.objectives[o.name], digits: 4 })),
    ...(data.mode === "target_rate" ? [{ label: "score", of: (t) => t.score ?? undefined, digits: 4 }] : []),
    ...values.map((name) => ({ label: name.replaceAll("_", " "), of: (t) => t.values[name] })),
    { label: "seconds", of: (t) => t.seconds }, { label: "reason", of: (t) => t.reason },
  ];
  let sorted = 0, downward = false;
  const list = () => {
    const table = byId("table"), head = make("tr"), body = make("tbody"), top = make("thead");
    columns.forEach((column, number) => {
      const order = number !== sorted ? "none" : downward ? "descending" : "ascending";
      const cell = make("th", { scope: "col", "aria-sort": order });
      const button = make("button", { type: "button" }, column.label);
      button.addEventListener("click", () => {
        downward = number === sorted ? !downward : false;
        sorted = number;
        list();
        byId("table").querySelectorAll("thead button")[number].focus();
      });
      cell.append(button);
      head.append(cell);
    });
    const of = columns[sorted].of, sign = downward ? -1 : 1;
    const rows = [...data.trials].sort((a, b) => {
      const [u, v] = [of(a), of(b)];
      if (u === undefined || v === undefined) return (u === undefined) - (v === undefined);
      return sign * (u < v ? -1 : u > v ? 1 : 0);
    });
    for (const t of rows) {
      const row = make("tr");
      columns.forEach((column, number) => {
        const value = column.of(t);
        const text = value === undefined ? "" : column.digits ? value.toFixed(column.digits) : String(value);
        row.append(make(number ? "td" : "th", number ? {} : { scope: "row" }, text));
      });
      body.append(row);
    }
    top.append(head);
    table.replaceChildren(top, body);
  };

  for (const id of ["x", "y", "size"]) byId(id).addEventListener("change", plot);
  addEventListener("resize", plot);
  plot();
  list();
})();
