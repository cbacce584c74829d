// Shared by every part of the report: colours and marks of codecs, numbers.
const codecs = [...new Set(data.points.map((p) => p.codec))].filter((c) => c !== "original");
const SYMBOLS = [
  ["circle", "●"], ["square", "■"], ["diamond", "◆"], ["triangle-up", "▲"], ["triangle-down", "▼"],
  ["cross", "✚"], ["x", "✖"], ["star", "★"], ["pentagon", "⬟"], ["hexagon", "⬢"],
];
const symbol = (codec) => SYMBOLS[codecs.indexOf(codec) % SYMBOLS.length];
const variable = (codec) => `--s${codecs.indexOf(codec) % 10}`;
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const digits = (v) => (Math.abs(v) >= 100 ? v.toFixed(0) : Math.abs(v) >= 10 ? v.toFixed(2) : v.toFixed(3));
