// Shared by every part of the page: the data, short ways to the document, colours and marks of codecs.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const codecs = [...new Set(data.points.map((p) => p.codec))].filter((c) => c !== "original");
const SYMBOLS = [
  ["circle", "●"], ["square", "■"], ["diamond", "◆"], ["triangle-up", "▲"], ["triangle-down", "▼"],
  ["cross", "✚"], ["x", "✖"], ["star", "★"], ["pentagon", "⬟"], ["hexagon", "⬢"],
];
const symbol = (codec) => SYMBOLS[codecs.indexOf(codec) % SYMBOLS.length];
const variable = (codec) => `--s${codecs.indexOf(codec) % 10}`;
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const digits = (v) => (Math.abs(v) >= 100 ? v.toFixed(0) : Math.abs(v) >= 10 ? v.toFixed(2) : v.toFixed(3));
const make = (tag, attributes = {}, text) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
};
