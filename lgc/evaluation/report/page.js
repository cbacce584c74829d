"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const NS = "http://www.w3.org/2000/svg";
  const codecs = [...new Set(data.points.map((p) => p.codec))].filter((c) => c !== "original");
  const colour = (codec) => `var(--s${codecs.indexOf(codec) % 10})`;
  const digits = (v) => (Math.abs(v) >= 100 ? v.toFixed(0) : Math.abs(v) >= 10 ? v.toFixed(2) : v.toFixed(3));
  const make = (tag, attributes = {}, text) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const draw = (parent, tag, attributes = {}, text) => {
    const element = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };

  // light and dark
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // curves
  const shown = new Set(codecs.filter((c) => c === data.main || !data.ours.includes(c)));
  const metric = byId("metric");
  for (const axis of data.metrics) metric.append(make("option", { value: axis.id }, axis.label));
  const preferred = ["ms_ssim", "ssim", "vif", "psnr"].find((id) => data.metrics.some((m) => m.id === id));
  if (preferred) metric.value = preferred;
  for (const codec of codecs) {
    const label = make("label");
    const box = make("input", { type: "checkbox", value: codec });
    box.checked = shown.has(codec);
    box.addEventListener("change", () => {
      box.checked ? shown.add(codec) : shown.delete(codec);
      plot();
      filterTables();
    });
    const swatch = make("span", { class: "swatch" });
    swatch.style.background = colour(codec);
    label.append(box, swatch, codec === data.main ? `${codec} (ours)` : codec);
    byId("filter").append(label);
  }
  const filterTables = () => {
    for (const row of document.querySelectorAll("#codecs tr[data-codec], #encoders tr[data-codec]"))
      row.hidden = codecs.includes(row.dataset.codec) && !shown.has(row.dataset.codec);
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

  const plot = () => {
    const id = metric.value;
    const axis = data.metrics.find((m) => m.id === id);
    byId("trained").textContent = axis.trained ? `† ${axis.trained}` : "";
    const narrow = innerWidth < 768;
    const W = narrow ? 640 : 1000, H = narrow ? 560 : 440;
    const edge = { left: narrow ? 76 : 64, right: narrow ? 110 : 100, top: 24, bottom: narrow ? 64 : 48 };
    const holder = byId("plot");
    holder.replaceChildren();
    const points = data.points.filter((p) => shown.has(p.codec) && p.values[id]);
    const svg = draw(holder, "svg", {
      viewBox: `0 0 ${W} ${H}`, role: "group", "aria-label": `${axis.label} over bits per pixel`,
    });
    if (!points.length) {
      draw(svg, "text", { x: W / 2, y: H / 2, "text-anchor": "middle" }, "No codec chosen");
      return;
    }
    const original = data.points.find((p) => p.codec === "original" && p.values[id]);
    const rates = points.map((p) => p.values.bpp[0]);
    const heights = points.flatMap((p) => p.values[id]).concat(original ? [original.values[id][0]] : []);
    const xLow = Math.min(...rates) / 1.25, xHigh = Math.max(...rates) * 1.25;
    const room = (Math.max(...heights) - Math.min(...heights)) * 0.07 || 0.01;
    const yLow = Math.min(...heights) - room, yHigh = Math.max(...heights) + room;
    const X = (v) => edge.left + (Math.log(v / xLow) / Math.log(xHigh / xLow)) * (W - edge.left - edge.right);
    const Y = (v) => H - edge.bottom - ((v - yLow) / (yHigh - yLow)) * (H - edge.top - edge.bottom);
    for (const v of niceTicks(yLow, yHigh, 8)) {
      draw(svg, "line", { class: "gridline", x1: edge.left, x2: W - edge.right, y1: Y(v), y2: Y(v) });
      draw(svg, "text", { x: edge.left - 8, y: Y(v) + 4, "text-anchor": "end" }, tickText(v));
    }
    for (const v of logTicks(xLow, xHigh)) {
      draw(svg, "line", { class: "gridline", x1: X(v), x2: X(v), y1: edge.top, y2: H - edge.bottom });
      draw(svg, "text", { x: X(v), y: H - edge.bottom + (narrow ? 24 : 18), "text-anchor": "middle" }, tickText(v));
    }
    draw(svg, "text", { x: (edge.left + W - edge.right) / 2, y: H - 10, "text-anchor": "middle" },
      "bits per pixel (real files, logarithmic)");
    if (original) {
      const y = Y(original.values[id][0]);
      draw(svg, "line", { x1: edge.left, x2: W - edge.right, y1: y, y2: y, stroke: "var(--soft)", "stroke-dasharray": "3 5" });
      draw(svg, "text", { x: W - edge.right - 6, y: y - 6, "text-anchor": "end" }, "originals");
    }
    const ends = [];
    for (const codec of codecs) {
      const line = points.filter((p) => p.codec === codec).sort((a, b) => a.values.bpp[0] - b.values.bpp[0]);
      if (!line.length) continue;
      const ours = data.ours.includes(codec);
      const at = line.map((p) => [X(p.values.bpp[0]), Y(p.values[id][0])]);
      draw(svg, "polyline", {
        points: at.map((a) => a.join(",")).join(" "), fill: "none", stroke: colour(codec),
        "stroke-width": ours ? 3 : 1.6, "stroke-dasharray": ours && codec !== data.main ? "6 4" : "none",
      });
      line.forEach((p, i) => {
        const [x, y] = at[i];
        const [value, low, high] = p.values[id];
        const about = Object.entries(p.about).map(([k, v]) => `${k}: ${v}`);
        const lines = [p.key + (p.floor ? ": floor" : ""), `${p.values.bpp[0].toFixed(4)} bits per pixel`,
          `${axis.label}: ${digits(value)}` + (low < high ? ` [${digits(low)}, ${digits(high)}]` : ""), ...about];
        const g = draw(svg, "g", { class: "point", tabindex: 0, role: "img", "aria-label": lines.join(", ") });
        draw(g, "line", { x1: x, x2: x, y1: Y(low), y2: Y(high), stroke: colour(codec), "stroke-width": 1.2 });
        if (p.floor) draw(g, "line", {
          x1: x - 10, x2: x - 10, y1: y - 11, y2: y + 11, stroke: colour(codec), "stroke-width": 3 });
        draw(g, "circle", { class: "halo", cx: x, cy: y, r: 14, fill: colour(codec) });
        draw(g, "circle", { cx: x, cy: y, r: ours ? 6 : 4.5, fill: colour(codec) });
        draw(g, "circle", { cx: x, cy: y, r: 14, fill: "transparent" });
        g.addEventListener("pointerenter", (e) => showTip(lines, e.pageX, e.pageY));
        g.addEventListener("pointerdown", (e) => showTip(lines, e.pageX, e.pageY));
        g.addEventListener("pointerleave", hideTip);
        g.addEventListener("focus", () => {
          const box = g.getBoundingClientRect();
          showTip(lines, box.x + scrollX + box.width / 2, box.y + scrollY + box.height / 2);
        });
        g.addEventListener("blur", hideTip);
      });
      ends.push({ codec, x: at[at.length - 1][0] + 12, y: at[at.length - 1][1] + 4 });
    }
    const gap = narrow ? 20 : 14;
    ends.sort((a, b) => a.y - b.y);
    ends.forEach((end, i) => {  // labels that would lie on each other move down
      for (const other of ends.slice(0, i))
        if (Math.abs(other.y - end.y) < gap && Math.abs(other.x - end.x) < 90) end.y = other.y + gap;
      draw(svg, "text", { class: "name", x: end.x, y: end.y, style: `fill:${colour(end.codec)}` }, end.codec);
    });
  };
  metric.addEventListener("change", plot);
  addEventListener("resize", plot);

  // classes, attributes, pose
  const series = Object.entries(data.classes).flatMap(([key, sources]) => Object.keys(sources).map((source) => ({
    key, source,
    label: source === "rgb" ? `RGB reference on ${key === "original" ? "originals" : key}`
      : `our head, ${source === "both" ? "both layers" : "semantic layer"}`,
  })));
  const groups = {
    class_iou: "IoU of each class", class_f1: "F1 of each class", attribute_balanced_accuracy: "balanced accuracy of each attribute",
    attribute_accuracy: "accuracy of each attribute", pose_error: "mean absolute error in degrees",
  };
  const known = new Set(series.flatMap((s) => Object.keys(data.classes[s.key][s.source])));
  for (const [id, label] of Object.entries(groups)) if (known.has(id)) byId("group").append(make("option", { value: id }, label));
  for (const id of ["series-a", "series-b"])
    series.forEach((s, i) => byId(id).append(make("option", { value: i }, s.label)));
  byId("series-a").value = Math.max(0, series.findIndex((s) => s.source === "semantic"));
  byId("series-b").value = Math.max(0, series.findIndex((s) => s.key === "original"));
  const bars = () => {
    const chosen = ["series-a", "series-b"].map((id) => series[byId(id).value]);
    const group = byId("group").value;
    const values = chosen.map((s) => (s ? data.classes[s.key][s.source][group] || {} : {}));
    const names = [...new Set(values.flatMap(Object.keys))];
    const top = group === "pose_error" ? Math.max(1, ...values.flatMap((v) => Object.values(v).map((t) => t[2]))) : 1;
    byId("bars").replaceChildren(...names.map((name) => {
      const row = make("div", { class: "bar" });
      const track = make("span", { class: "track" });
      values.forEach((v, i) => {
        const bar = make("i");
        if (v[name]) {
          const fill = make("b"), spread = make("u");
          fill.style.cssText = `width:${(100 * v[name][0]) / top}%;background:var(--s${i ? 7 : 0})`;
          spread.style.cssText = `left:${(100 * v[name][1]) / top}%;width:${(100 * (v[name][2] - v[name][1])) / top}%`;
          bar.append(fill, spread);
        }
        track.append(bar);
      });
      const text = values.map((v) => (v[name] ? digits(v[name][0]) : "–")).join(" | ");
      row.append(make("span", {}, name.replaceAll("_", " ")), track, make("span", {}, text));
      row.title = values.map((v, i) => (v[name]
        ? `${chosen[i].label}: ${digits(v[name][0])} [${digits(v[name][1])}, ${digits(v[name][2])}]` : "")).join("\n");
      return row;
    }));
  };
  for (const id of ["group", "series-a", "series-b"]) byId(id).addEventListener("change", bars);

  // pictures
  const stage = byId("stage"), slider = byId("slider");
  let picture = 0, left = 0, right = 1;
  const views = () => data.gallery.pictures[picture].views;
  const bytes = (view) => (view.bytes === undefined ? "" : `${view.bytes} bytes`);
  const seam = () => {
    byId("clip").style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
    byId("seam").style.left = `calc(${slider.value}% - 1px)`;
  };
  const place = () => {
    const zoom = Number(byId("zoom").value);
    const mask = views().find((v) => v.kind === "mask");
    for (const id of ["left", "right", "overlay"]) byId(id).style.transform = zoom === 1 ? "none" : `scale(${zoom})`;
    byId("overlay").style.opacity = byId("mask-strength").value / 100;
    byId("mask-on").disabled = !mask;
    byId("overlay").hidden = !mask || !byId("mask-on").checked;
    if (mask) byId("overlay").src = mask.src;
    for (const [id, number] of [["left", left], ["right", right]]) {
      const view = views()[number];
      byId(id).src = view.src;
      byId(id).alt = `picture ${data.gallery.pictures[picture].row}, ${view.name}`;
      byId(`tag-${id}`).textContent = [view.name, bytes(view)].filter(Boolean).join(", ");
    }
    seam();
  };
  const list = () => {
    const measured = Object.keys(data.labels).filter((name) => views().some((v) => name in v.values));
    const head = make("tr");
    for (const name of ["view", "left", "right", "bytes", "bpp", ...measured.map((n) => data.labels[n])])
      head.append(make("th", { scope: "col" }, name));
    const table = byId("views");
    table.replaceChildren(make("thead"), make("tbody"));
    table.firstChild.append(head);
    views().forEach((view, number) => {
      const row = make("tr");
      row.append(make("th", { scope: "row" }, view.name));
      for (const side of ["left", "right"]) {
        const button = make("button", {
          type: "button", "aria-pressed": String((side === "left" ? left : right) === number),
          "aria-label": `Show ${view.name} on the ${side}`,
        }, side === "left" ? "◧" : "◨");
        button.addEventListener("click", () => {
          if (side === "left") left = number; else right = number;
          place();
          list();
          byId("views").querySelectorAll("tbody tr")[number].querySelectorAll("button")[side === "left" ? 0 : 1].focus();
        });
        const cell = make("td");
        cell.append(button);
        row.append(cell);
      }
      const known = view.bytes !== undefined;
      row.append(make("td", {}, known ? view.bytes : ""),
        make("td", {}, known ? ((8 * view.bytes) / data.gallery.size ** 2).toFixed(3) : ""));
      for (const name of measured) row.append(make("td", {}, name in view.values ? digits(view.values[name]) : ""));
      table.lastChild.append(row);
    });
  };
  const choose = (number) => {
    picture = number;
    [...byId("thumbs").children].forEach((t, i) => t.setAttribute("aria-selected", String(i === number)));
    place();
    list();
  };
  data.gallery.pictures.forEach((p, number) => {
    const button = make("button", { type: "button", role: "option", "aria-selected": "false" });
    const why = p.why === "sample" ? `picture ${p.row}` : `worst: ${p.why}`;
    button.append(make("img", { src: p.views[0].src, alt: `picture ${p.row}` }), make("small", {}, why));
    button.addEventListener("click", () => choose(number));
    byId("thumbs").append(button);
  });
  slider.addEventListener("input", seam);
  for (const id of ["zoom", "mask-on", "mask-strength"]) byId(id).addEventListener("input", place);
  const follow = (event) => {
    if (event.buttons === 0) return;
    const box = stage.getBoundingClientRect();
    const x = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
    slider.value = 100 * x;
    seam();
  };
  stage.addEventListener("dblclick", (event) => {
    const box = stage.getBoundingClientRect();
    stage.style.setProperty("--x", `${(100 * (event.clientX - box.left)) / box.width}%`);
    stage.style.setProperty("--y", `${(100 * (event.clientY - box.top)) / box.height}%`);
  });
  stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); follow(event); });
  stage.addEventListener("pointermove", follow);

  plot();
  filterTables();
  if (known.size) bars(); else byId("classes").hidden = true;
  if (data.gallery.pictures.length) choose(0); else byId("pictures").hidden = true;
})();
