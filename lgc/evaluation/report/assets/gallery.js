// Pictures: a seam between any two views, one button a codec, the mask on top; and the worst cases, all views at once.
(() => {
  const stage = byId("stage"), slider = byId("slider"), pictures = data.gallery.pictures;
  if (!pictures.length) {
    byId("pictures").hidden = byId("worst").hidden = true;
    return;
  }
  let picture = 0, left = 0, right = 1;
  const views = () => pictures[picture].views;
  const bytes = (view) => (view.bytes === undefined ? "" : `${view.bytes} bytes`);
  const titled = (view) => [view.name, bytes(view)].filter(Boolean).join(", ");

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
    byId("mask-name").textContent = mask ? mask.name[0].toUpperCase() + mask.name.slice(1) : "No mask";
    byId("overlay").hidden = !mask || !byId("mask-on").checked;
    if (mask) byId("overlay").src = mask.src;
    for (const [id, number] of [["left", left], ["right", right]]) {
      const view = views()[number];
      byId(id).src = view.src;
      byId(id).alt = `picture ${pictures[picture].row}, ${view.name}`;
      byId(`tag-${id}`).textContent = titled(view);
    }
    seam();
  };

  const show = (side, number) => {
    if (side === "left") left = number; else right = number;
    place();
    list();
    against();
  };
  // one button a view, beside the original
  const against = () => {
    const focused = [...byId("against").children].indexOf(document.activeElement);
    byId("against").replaceChildren(...views().slice(1).map((view, i) => {
      const button = make("button", { type: "button", "aria-pressed": String(left === 0 && right === i + 1) });
      button.append(make("span", {}, view.label || view.name), make("small", {}, bytes(view)));
      button.addEventListener("click", () => { left = 0; show("right", i + 1); });
      return button;
    }));
    byId("against").children[focused]?.focus();
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
          show(side, number);
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
    [...byId("thumbs").children].forEach((t, i) => t.setAttribute("aria-pressed", String(i === number)));
    place();
    list();
    against();
  };

  const short = (name) => (data.labels[name] || name).replace(/ [↑↓]/, "");
  const why = (p) => p.why.replace(/^lowest (\w+)$/, (_, name) => `lowest ${short(name)}`);
  pictures.forEach((p, number) => {
    const button = make("button", { type: "button", "aria-pressed": "false" });
    const text = p.why === "sample" ? `picture ${p.row}` : `worst: ${why(p)}`;
    button.append(make("img", { src: p.views[0].src, alt: `picture ${p.row}` }), make("small", {}, text));
    button.addEventListener("click", () => choose(number));
    byId("thumbs").append(button);
  });
  pictures.forEach((p, number) => {
    if (p.why === "sample") return;
    const card = make("article", { class: "case" }), row = make("div", { class: "strip" });
    for (const view of p.views) {
      const figure = make("figure"), caption = make("figcaption", {}, view.name);
      const values = [bytes(view), ...Object.entries(view.values).map(([name, v]) => `${short(name)} ${digits(v)}`)];
      caption.append(...values.filter(Boolean).map((text) => make("small", {}, text)));
      figure.append(make("img", { src: view.src, alt: `picture ${p.row}, ${view.name}` }), caption);
      row.append(figure);
    }
    const open = make("button", { type: "button" }, "Compare");
    open.addEventListener("click", () => { choose(number); byId("pictures").scrollIntoView(); byId("slider").focus({ preventScroll: true }); });
    const head = make("h3", {}, `Picture ${p.row}: ${why(p)} `);
    head.append(open);
    card.append(head, row);
    byId("cases").append(card);
  });
  if (!byId("cases").children.length) byId("worst").hidden = true;

  slider.addEventListener("input", seam);
  for (const id of ["zoom", "mask-on", "mask-strength"]) byId(id).addEventListener("input", place);
  const follow = (event) => {
    if (event.buttons === 0) return;
    const box = stage.getBoundingClientRect();
    slider.value = 100 * Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
    seam();
  };
  stage.addEventListener("dblclick", (event) => {
    const box = stage.getBoundingClientRect();
    stage.style.setProperty("--x", `${(100 * (event.clientX - box.left)) / box.width}%`);
    stage.style.setProperty("--y", `${(100 * (event.clientY - box.top)) / box.height}%`);
  });
  stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); follow(event); });
  stage.addEventListener("pointermove", follow);
  choose(0);
})();
