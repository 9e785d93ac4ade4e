import { element, svg } from "./dom.js";
import { candidates, scatter } from "./state.js";

// What is seen of a run that is over: why these, drawn.

const SIZE = 100;

/**
 * @param {import("./state.js").Report} report
 * @param {(key: string) => string} words
 * @param {(seed: string) => string} name
 */
export function charts(report, words, name) {
  const points = scatter(candidates(report));
  const last = report.rounds[report.rounds.length - 1];
  const shown = [];
  if (points.length > 1) shown.push(figure(words("scatter"), points.map(({ seed, rank, x, y }) => dot(x, y, rank >= 0, name(seed)))));
  if (last.pairwise && last.kept.length > 1) shown.push(figure(words("distances"), heat(last.pairwise, last.kept.map(name))));
  const { group, plain } = report.beside;
  if (group && plain) shown.push(beside(group, plain, words));
  return shown;
}

/** @param {string} title @param {SVGElement[]} parts */
function figure(title, parts) {
  const made = element("figure");
  const drawing = svg("svg", { viewBox: `-4 -4 ${SIZE + 8} ${SIZE + 8}`, role: "img", "aria-label": title });
  drawing.append(...parts);
  made.append(drawing, element("figcaption", "", title));
  return made;
}

/** @param {number} x @param {number} y @param {boolean} best @param {string} text */
function dot(x, y, best, text) {
  return titled(svg("circle", { cx: x * SIZE, cy: y * SIZE, r: best ? 4 : 2, class: best ? "best" : "dot" }), text);
}

/** Cells for distances between all, the larger the brighter. @param {number[][]} distances @param {string[]} names */
function heat(distances, names) {
  const most = Math.max(...distances.flat(), Number.MIN_VALUE);
  const side = SIZE / names.length;
  return distances.flatMap((row, i) =>
    row.map((value, j) => {
      const box = svg("rect", { x: j * side, y: i * side, width: side, height: side, class: "heat", "fill-opacity": value / most });
      return titled(box, `${names[i]} – ${names[j]}: ${value.toPrecision(3)}`);
    }),
  );
}

/** @param {import("./state.js").Means} group @param {import("./state.js").Means} plain @param {(key: string) => string} words */
function beside(group, plain, words) {
  const table = element("table");
  const row = (texts, tag = "td") => {
    const made = element("tr");
    made.append(...texts.map((text) => element(text ? tag : "td", "", text)));
    return made;
  };
  const number = (value) => (value === null ? "–" : value.toPrecision(3));
  const means = /** @type {const} */ (["quality", "difference"]).filter((mean) => group[mean] !== null);
  table.append(row(["", ...means.map(words)], "th"), ...[group, plain].map((own, i) => row([words(i ? "plain" : "group"), ...means.map((mean) => number(own[mean]))])));
  return table;
}

/** @param {SVGElement} drawn @param {string} text */
function titled(drawn, text) {
  const title = svg("title", {});
  title.textContent = text;
  drawn.append(title);
  return drawn;
}
