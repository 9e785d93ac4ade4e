import { element } from "./dom.js";

// What would be: another lambda or size of the group in a round that is done, by the server's solver, and the way to make it so.

/**
 * @param {import("./view.js").Seen} seen
 * @param {number} round whose candidates are chosen from
 * @param {import("./view.js").Outside} outside
 * @param {(seeds: string[], said: string) => void} show
 * @returns {{parts: HTMLElement[], untold: () => Record<string, number>}} untold: what is being tried and not applied
 */
export function again(seen, round, outside, show) {
  const { settings, rounds } = seen.report;
  const { words } = outside;
  const weight = number("range", settings.lambda_score, 0, Math.max(10, 2 * settings.lambda_score), 0.1);
  const size = number("number", Math.min(settings.output_group_size, rounds[round].seeds.length), 1, rounds[round].seeds.length, 1);
  const shown = element("output", "", String(settings.lambda_score));
  const values = () => ({ lambda_score: Number(weight.value), output_group_size: Number(size.value) });
  let latest = 0;
  let tried = false;
  const ask = async () => {
    const own = ++latest;
    tried = true;
    shown.textContent = weight.value;
    const answer = await outside.choose(seen.run, { round, ...values() });
    if (own !== latest) return; // a later one is on its way
    const kept = new Set(rounds[round].kept);
    const seeds = answer.seeds ?? [];
    const others = seeds.filter((seed) => !kept.has(seed)).length;
    const when = settings.steps ? `${words("would")} ${rounds[round].step + 1}: ` : "";
    show(seeds, answer.said ?? `${when}${others} ${words("others")}`);
  };
  weight.oninput = size.oninput = ask;
  const apply = element("button", "", words("apply"));
  apply.dataset.act = "apply";
  apply.onclick = () => {
    tried = false;
    show([], outside.apply(values()));
  };
  return { parts: [labelled("lambda_score", weight), shown, labelled("output_group_size", size), apply], untold: () => (tried ? values() : {}) };
}

/** @param {string} type @param {number} value @param {number} min @param {number} max @param {number} step */
function number(type, value, min, max, step) {
  const made = /** @type {HTMLInputElement} */ (element("input"));
  Object.assign(made, { type, min, max, step });
  made.value = String(value);
  return made;
}

/** @param {string} text @param {HTMLElement} input */
function labelled(text, input) {
  const made = element("label", "", text);
  made.append(input);
  return made;
}
