// Sorts tables, and draws the observable and the part of the conditions that are chosen. Without it the page is whole.
"use strict";

// ---- tables that sort by a click on a heading; cells carry their number in data-value, and those without come last
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.querySelector("tbody.ranked");
  const headings = [...table.querySelectorAll("thead th")];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.value ?? "";
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });
}

// ---- elements
const SVG = "http://www.w3.org/2000/svg";
function draw(parent, name, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  parent.append(element);
  return element;
}
function write(parent, name, text, classes = "") {
  const element = document.createElement(name);
  element.textContent = text;
  if (classes) element.className = classes;
  parent.append(element);
  return element;
}

// ---- scales
function ticks(low, high, about) {
  const raw = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found;
}
const plain = (value) => String(Number(value.toPrecision(6))).replace("-", "\u2212");

// ---- the plot
const data = JSON.parse(document.getElementById("data").textContent);
const panel = document.getElementById("explorer");
const [observable, part, logarithmic] = ["observable", "part", "logarithmic"].map((id) => document.getElementById(id));
const LEFT = 62, TOP = 14, MIDDLE = 300, GAP = 12, BOTTOM = 400, HEIGHT = 445;
const RATIO = [0.5, 1.5];
const LEAST = 10; // (effective) showers that a bin of the reference needs for a ratio

function histogram(svg, item, chosen) {
  const width = Math.round(Math.max(svg.clientWidth, 280)); // letters keep their size on a narrow screen
  const right = width - 12;
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const bins = chosen.counts[0].length;
  const [low, high] = item.range;
  const totals = chosen.counts.map((counts) => counts.reduce((sum, count) => sum + count, 0));
  const share = chosen.counts.map((counts, s) => counts.map((count) => (totals[s] ? count / totals[s] : 0)));
  const error = chosen.counts.map((counts, s) =>
    counts.map((count, b) => (totals[s] ? (chosen.errors ? chosen.errors[s][b] : Math.sqrt(count)) / totals[s] : 0)));
  const filled = share.flat().filter((value) => value > 0);
  if (!filled.length) {
    draw(svg, "text", { x: width / 2, y: 200, "text-anchor": "middle" }, "no showers in this part");
    return;
  }
  const log = logarithmic.checked;
  const top = Math.max(...share.flatMap((values, s) => values.map((value, b) => value + error[s][b])));
  const least = 0.5 * Math.min(...filled);
  const x = (value) => LEFT + (right - LEFT) * (value - low) / (high - low);
  const edge = (b) => LEFT + (right - LEFT) * b / bins;
  const height = (value) => log
    ? Math.log(Math.max(value, least) / least) / Math.log(2 * top / least)
    : Math.max(value, 0) / (1.06 * top);
  const y = (value) => MIDDLE - (MIDDLE - TOP) * Math.min(height(value), 1);
  const z = (value) => BOTTOM - (BOTTOM - MIDDLE - GAP) * (value - RATIO[0]) / (RATIO[1] - RATIO[0]);

  // axes
  const line = { stroke: "#1d2430", "stroke-width": 1, fill: "none" };
  for (const value of ticks(low, high, width / 90)) {
    for (const place of [MIDDLE, BOTTOM]) draw(svg, "path", { d: `M${x(value)} ${place}v-5`, ...line });
    draw(svg, "text", { x: x(value), y: BOTTOM + 17, "text-anchor": "middle" }, plain(value));
  }
  const powers = (from, to) => Array.from({ length: Math.max(to - from + 1, 0) }, (_, k) => 10 ** (from + k));
  const marks = log ? powers(Math.ceil(Math.log10(least)), Math.floor(Math.log10(2 * top))) : ticks(0, 1.06 * top, 5);
  for (const value of marks) {
    draw(svg, "path", { d: `M${LEFT} ${y(value)}h5`, ...line });
    draw(svg, "text", { x: LEFT - 7, y: y(value) + 4, "text-anchor": "end" }, log ? value.toExponential(0).replace("-", "\u2212") : plain(value));
  }
  for (const value of [0.6, 1, 1.4]) draw(svg, "text", { x: LEFT - 7, y: z(value) + 4, "text-anchor": "end" }, value.toFixed(1));
  for (const [text, middle] of [["share of showers", (TOP + MIDDLE) / 2], ["ratio", (MIDDLE + GAP + BOTTOM) / 2]])
    draw(svg, "text", { transform: `translate(15 ${middle}) rotate(-90)`, "text-anchor": "middle" }, text);
  const label = draw(svg, "text", { x: (LEFT + right) / 2, y: BOTTOM + 38, "text-anchor": "middle", class: "label" });
  let raised = 0;
  for (const [text, shift] of item.label) {
    const wanted = -4 * shift;
    draw(label, "tspan", { dy: wanted - raised, "font-size": shift ? 10 : 13 }, text);
    raised = wanted;
  }

  // reference first, filled; then every sample
  share.forEach((values, s) => {
    const colour = data.colours[s];
    let d = `M${edge(0)} ${y(0)}`;
    values.forEach((value, b) => { d += `V${y(value)}H${edge(b + 1)}`; });
    if (s === 0) draw(svg, "path", { d: `${d}V${y(0)}Z`, fill: colour, "fill-opacity": 0.18, stroke: "none" });
    draw(svg, "path", { d, fill: "none", stroke: colour, "stroke-width": s ? 1.6 : 1.3, class: "counts", "data-sample": s });
    let bars = "", ratios = "";
    values.forEach((value, b) => {
      const middle = (edge(b) + edge(b + 1)) / 2 + (s ? (s - share.length / 2) * Math.min(1.5, 60 / bins) : 0);
      if (value > 0) bars += `M${middle} ${y(value - error[s][b])}V${y(value + error[s][b])}`;
      const truth = share[0][b], spread = error[0][b];
      if (!(spread > 0 && truth >= Math.sqrt(LEAST) * spread)) return;
      if (s === 0) {
        const [up, down] = [z(Math.min(1 + spread / truth, RATIO[1])), z(Math.max(1 - spread / truth, RATIO[0]))];
        draw(svg, "rect", { x: edge(b), width: edge(b + 1) - edge(b), y: up, height: down - up, fill: colour, "fill-opacity": 0.22 });
        return;
      }
      const ratio = value / truth;
      if (ratio <= RATIO[0] || ratio >= RATIO[1]) {
        const [tip, base] = ratio > 1 ? [MIDDLE + GAP + 2, 7] : [BOTTOM - 2, -7];
        draw(svg, "path", { d: `M${middle} ${tip}l-4 ${base}h8z`, fill: colour });
        return;
      }
      const [above, below] = [1, -1].map((side) => z(Math.min(Math.max(ratio + side * error[s][b] / truth, RATIO[0]), RATIO[1])));
      ratios += `M${middle} ${above}V${below}`;
      draw(svg, "circle", { cx: middle, cy: z(ratio), r: 2.2, fill: colour });
    });
    draw(svg, "path", { d: bars + ratios, stroke: colour, "stroke-width": 1, fill: "none" });
  });
  draw(svg, "path", { d: `M${LEFT} ${z(1)}H${right}`, stroke: data.colours[0], "stroke-width": 0.8 });
  draw(svg, "path", { d: `M${LEFT} ${TOP}H${right}V${MIDDLE}H${LEFT}Z M${LEFT} ${MIDDLE + GAP}H${right}V${BOTTOM}H${LEFT}Z`, ...line });

  // what a bin holds, where the pointer rests
  for (let b = 0; b < bins; b++) {
    const [from, to] = [b, b + 1].map((k) => plain(Number((low + (high - low) * k / bins).toPrecision(4))));
    const lines = chosen.counts.map((counts, s) => `${data.labels[s]}: ${counts[b]} of ${Math.round(totals[s])}`);
    const ends = b === 0 ? " and below" : b === bins - 1 ? " and above" : "";
    const cover = draw(svg, "rect", { x: edge(b), width: edge(b + 1) - edge(b), y: TOP, height: BOTTOM - TOP, fill: "transparent" });
    draw(cover, "title", {}, [`${from} to ${to}${ends}`, ...lines].join("\n"));
  }
}

// ---- the figures beside it
function figures(table, chosen) {
  table.replaceChildren();
  const head = write(write(table, "thead", ""), "tr", "");
  write(head, "th", "distance");
  for (const label of data.labels.slice(1)) write(head, "th", label);
  const body = write(table, "tbody", "");
  data.metrics.forEach((title, metric) => {
    const row = write(body, "tr", "");
    write(row, "td", title);
    for (const found of chosen.figures) {
      const figure = typeof found === "string" ? null : found[metric];
      const cell = write(row, "td", figure ? figure[0] : "not computable", figure && figure[2] ? "within" : "");
      if (figure) write(cell, "small", `floor ${figure[1]}`);
    }
  });
  const row = write(body, "tr", "");
  write(row, "td", `showers (${data.labels[0]}: ${total(chosen.counts[0])})`);
  for (const counts of chosen.counts.slice(1)) write(row, "td", total(counts));
}
const total = (counts) => Math.round(counts.reduce((sum, count) => sum + count, 0)).toLocaleString("en");

function show() {
  const item = data.observables[observable.selectedIndex];
  const chosen = item.parts[part.selectedIndex];
  const svg = panel.querySelector("svg");
  svg.replaceChildren();
  svg.setAttribute("aria-label", `${item.name}, ${data.parts[part.selectedIndex]}, with the ratio to ${data.labels[0]}`);
  histogram(svg, item, chosen);
  figures(panel.querySelector("table"), chosen);
  const reasons = chosen.figures.filter((found) => typeof found === "string");
  panel.querySelector("p.reason").textContent = [...new Set(reasons)].join(" ");
}

for (const item of data.observables) write(observable, "option", item.name);
for (const title of data.parts) write(part, "option", title);
data.labels.forEach((label, s) => {
  const entry = write(panel.querySelector(".legend"), "span", label);
  entry.style.setProperty("--colour", data.colours[s]);
});
for (const control of [observable, part, logarithmic]) control.addEventListener("change", show);
panel.classList.toggle("several", data.labels.length > 3);
window.addEventListener("resize", show);
panel.hidden = false;
show();
