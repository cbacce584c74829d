// Light and dark: as the system says, until the button is pressed. Charts are drawn again in the new colours.
(() => {
  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)");
  byId("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    root.dataset.theme = dark ? "light" : "dark";
    curves.redraw();
  });
  system.addEventListener("change", curves.redraw);
})();
