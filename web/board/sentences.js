import { leftAfter, nameOf } from "./state.js";

// What the board says of a run and of its candidates.

/** @typedef {(key: string) => string} Words */
/** @typedef {import("./state.js").Candidate} Candidate */
/** @typedef {import("./state.js").Report} Report */

/** How users call a candidate, as "seed 11". @param {Words} words @param {Report} report @param {string} seed */
export function named(words, report, seed) {
  const [kind, name] = nameOf(report, seed);
  return `${words(kind)} ${name}`;
}

/** All that is known of a candidate. @param {Words} words @param {Report} report @param {Candidate} one */
export function sentence(words, report, one) {
  const number = (value) => (value === null ? "" : value.toPrecision(3));
  const left = leftAfter(report, one);
  return joined(
    named(words, report, one.seed),
    one.rank >= 0 ? words("chosen") : left === null ? "" : `${words("left")} ${left}`,
    one.quality === null ? "" : `${words("quality")} ${number(one.quality)}`,
    one.parts.map(([scorer, value]) => `${scorer} ${number(value)}`).join(", "),
    one.nearest === null ? "" : `${words("nearest")} ${named(words, report, one.nearest)}, ${words("distance")} ${number(one.distance)}`,
  );
}

/**
 * How far a run is, or was in the round that is pointed at.
 * @param {Words} words
 * @param {import("./view.js").Seen} seen
 * @param {number} living
 * @param {number | undefined} until the round
 * @param {boolean} gone whether there are no pictures of it
 */
export function headline(words, { report, shows, status }, living, until, gone) {
  const { starting_candidates: started, steps } = report.settings;
  const over = until === undefined && status === "done";
  const step = report.rounds.at(until ?? -1)?.step;
  const when = over || step === undefined || !steps ? "" : `${words("step")} ${step + 1} ${words("of")} ${steps}`;
  return joined(`${over ? report.seeds.length : living || started} ${words("of")} ${started}`, when, state());

  function state() {
    if (status === "stopped") return words("stopped");
    if (step === undefined) return words("waiting");
    if (!shows) return words("hidden");
    return gone ? words("gone") : "";
  }
}

/** @param {...string} parts */
function joined(...parts) {
  return parts.filter(Boolean).join(" · ");
}
