// Small charts as SVG: curves with bands, steps with marks. Numbers in, an element out.
"use strict";
const NS = "http://www.w3.org/2000/svg", W = 720, H = 240, L = 40, B = 26, T = 8, R = 8;

function node(tag, attributes, text) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
function scale(low, high, from, to) { return v => from + (v - low) / ((high - low) || 1) * (to - from); }

// series: [{points: [[x, y] or [x, y, low, high]], className, dash}], lines: [{y, className, label}]
export function chart({label, series, lines = [], xLabel, low = 0, high = 1, height = H, cursor = null}) {
  const xs = series.flatMap(s => s.points.map(p => p[0]));
  const first = Math.min(0, ...xs), last = Math.max(...xs, first + 1e-9);
  const x = scale(first, last, L, W - R), y = scale(low, high, height - B, T);
  const svg = node("svg", {viewBox: `0 0 ${W} ${height}`, role: "img", "aria-label": label});
  for (const tick of [low, (low + high) / 2, high]) {
    svg.append(node("line", {class: "axis", x1: L, x2: W - R, y1: y(tick), y2: y(tick)}));
    svg.append(node("text", {x: L - 4, y: y(tick) + 4, "text-anchor": "end"}, Number(tick.toPrecision(2))));
  }
  for (const at of [first, (first + last) / 2, last]) svg.append(node("text", {x: x(at), y: height - 8, "text-anchor": at === first ? "start" : at === last ? "end" : "middle"}, Number(at.toPrecision(3))));
  svg.append(node("text", {x: (L + W) / 2, y: height - 8, "text-anchor": "start", dx: 24}, xLabel));
  for (const {y: at, className} of lines) svg.append(node("line", {class: className, x1: L, x2: W - R, y1: y(at), y2: y(at), stroke: "currentColor", "stroke-dasharray": "6 5"}));
  for (const {points, className, dash} of series) {
    const band = points.filter(p => p.length > 2);
    if (band.length > 1) {
      const edge = [...band.map(p => [x(p[0]), y(p[3])]), ...band.toReversed().map(p => [x(p[0]), y(p[2])])];
      svg.append(node("polygon", {class: className, points: edge.map(p => p.join()).join(" "), fill: "currentColor", opacity: .15}));
    }
    const known = points.filter(p => p[1] !== null);
    svg.append(node("polyline", {class: className, points: known.map(p => `${x(p[0])},${y(p[1])}`).join(" "), fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-dasharray": dash || "none"}));
  }
  if (cursor !== null) svg.append(node("line", {class: "cursor", x1: x(cursor), x2: x(cursor), y1: T, y2: height - B, stroke: "currentColor"}));
  return svg;
}
