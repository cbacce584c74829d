// Classes, attributes and pose, two readers side by side.
(() => {
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
        ? `${chosen[i].label}: ${digits(v[name][0])}`
          + (v[name][1] < v[name][2] ? ` [${digits(v[name][1])}, ${digits(v[name][2])}]` : "") : "")).join("\n");
      return row;
    }));
  };
  for (const id of ["group", "series-a", "series-b"]) byId(id).addEventListener("change", bars);
  if (known.size) bars(); else byId("classes").hidden = true;
})();
