// What a report says, in the form in which the board shows it: arithmetic alone, without a page.

/**
 * @typedef {object} Round A selection, see sampling/record.py; seeds are texts, since they may be larger than numbers are exact.
 * @property {number} step
 * @property {string[]} seeds
 * @property {string[]} kept
 * @property {(number | null)[] | null} unary
 * @property {number[][] | null} pairwise
 * @property {string[] | null} nearest
 * @property {number[] | null} nearest_distance
 * @property {Record<string, (number | null)[]>} parts
 */
/** @typedef {{quality: number | null, difference: number | null}} Means */
/**
 * @typedef {object} Report
 * @property {string} id
 * @property {string[]} seeds
 * @property {Round[]} rounds
 * @property {{seed?: string, rows?: number, steps?: number, starting_candidates: number, output_group_size: number, lambda_score: number, unary?: string, pairwise?: string}} settings
 * @property {{start: number, end: number, steps: number, in_words: string, looks: {step: number, keep: number, scored: boolean}[]} | null} [plan]
 * @property {{group?: Means, plain?: Means}} beside
 */
/**
 * @typedef {object} Candidate
 * @property {string} seed
 * @property {number} round the last one that looked at it
 * @property {number} place among those that this round looked at
 * @property {number | null} left the step after which it was not kept, from 1
 * @property {number} rank in the group, -1 of others
 * @property {number | null} quality
 * @property {[string, number][]} parts of quality, by scorer, where there are several
 * @property {string | null} nearest the seed of the one that was most like it
 * @property {number | null} distance to that one
 */

/**
 * Whether this is a report that can be shown: workflows come from anywhere.
 * @param {any} report
 */
export function isReport(report) {
  const lists = [report?.seeds, report?.rounds, ...(report?.rounds ?? []).flatMap((round) => [round?.seeds, round?.kept])];
  return /^[0-9a-f]{32}$/.test(report?.id) && lists.every(Array.isArray) && Boolean(report.settings && report.beside);
}

/**
 * All candidates that were looked at until a round, in the order in which they started.
 * @param {Report} report
 * @param {number} [until] the round that counts as the last one; without, the whole run counts
 * @returns {Candidate[]}
 */
export function candidates(report, until) {
  const rounds = until === undefined ? report.rounds : report.rounds.slice(0, until + 1);
  const ranks = new Map(until === undefined ? report.seeds.map((seed, rank) => [seed, rank]) : []);
  /** @type {Map<string, Candidate>} */
  const found = new Map();
  rounds.forEach((round, number) => {
    const kept = new Set(round.kept);
    round.seeds.forEach((seed, place) => {
      found.set(seed, {
        seed,
        round: number,
        place,
        left: kept.has(seed) ? null : round.step + 1,
        rank: ranks.get(seed) ?? -1,
        quality: round.unary?.[place] ?? null,
        parts: Object.entries(round.parts ?? {}).flatMap(([name, values]) => (values?.[place] == null ? [] : [[name, values[place]]])),
        nearest: round.nearest?.[place] ?? null,
        distance: round.nearest_distance?.[place] ?? null,
      });
    });
  });
  return [...found.values()];
}

/**
 * The step after which a candidate left, from 1; null of who lives, and of pictures that were there already, which no step looked at.
 * @param {Report} report
 * @param {Candidate} one
 */
export function leftAfter(report, one) {
  return report.settings.steps ? one.left : null;
}

// More tiles than that are no help, and a page bears no more.
const MOST = 1024;

/**
 * Those that are shown: all, of very many the group alone.
 * @param {Candidate[]} all
 */
export function shown(all) {
  return all.length <= MOST ? all : all.filter((one) => one.rank >= 0);
}

/**
 * The group first, best first, then those that still live, then the others in the order in which they left, the last ones first.
 * @param {Candidate[]} all
 */
export function inOrder(all) {
  const key = (one) => (one.rank >= 0 ? [0, one.rank] : one.left === null ? [1, 0] : [2, -one.left]);
  return [...all].sort((a, b) => key(a)[0] - key(b)[0] || key(a)[1] - key(b)[1]);
}

/**
 * How many live in each step, from 1, and the round after it, if there was one.
 * @param {Report} report
 * @returns {{step: number, living: number, round: number | null}[]}
 */
export function timeline(report) {
  const { plan } = report;
  if (!plan) return [];
  const done = new Map(report.rounds.map((round, number) => [round.step, { number, keep: round.kept.length }]));
  const planned = new Map(plan.looks.map((look) => [look.step, look.keep]));
  let living = plan.start;
  return Array.from({ length: plan.steps }, (_, step) => {
    const now = { step: step + 1, living, round: done.get(step)?.number ?? null };
    living = done.get(step)?.keep ?? planned.get(step) ?? living;
    return now;
  });
}

/**
 * Where a picture is in a sheet of so many, see board/tiles.py: for CSS's background-position and background-size.
 * @param {number} place
 * @param {number} count
 */
export function cell(place, count) {
  const columns = Math.ceil(Math.sqrt(count));
  const rows = Math.ceil(count / columns);
  const share = (at, of) => `${of > 1 ? (100 * at) / (of - 1) : 0}%`;
  return {
    columns,
    rows,
    position: `${share(place % columns, columns)} ${share(Math.floor(place / columns), rows)}`,
    size: `${100 * columns}% ${100 * rows}%`,
  };
}

/**
 * What users call a candidate, see record.Run.name; pictures that were there already are images.
 * @param {Report} report
 * @param {string} seed
 * @returns {["row" | "seed" | "image", string]}
 */
export function nameOf(report, seed) {
  const { rows = 1, seed: first } = report.settings;
  if (first === undefined) return ["image", seed];
  return rows > 1 ? ["row", String(BigInt.asUintN(64, BigInt(seed) - BigInt(first)))] : ["seed", seed];
}

/**
 * @typedef {object} Word What the server says when there is more to see of a run.
 * @property {string} run
 * @property {string} node
 * @property {string} status
 * @property {number} begun seconds
 * @property {number} said how many words there were of this run
 */

/**
 * Whether a word says more than what is known: words may come late, twice, or of a run before.
 * @param {Word | undefined} known
 * @param {Word} word
 */
export function isNews(known, word) {
  if (!known || known.begun < word.begun) return true;
  return known.run === word.run && known.said < word.said;
}

/**
 * The parts of a text of seeds such as "3, 11, 40-47".
 * @param {string} text
 */
export function seedsIn(text) {
  return text.split(",").map((part) => part.trim()).filter(Boolean);
}

/**
 * A text of seeds with one more, or without it if it is there: "3, 11" and "11" are "3".
 * @param {string} text
 * @param {string} seed
 */
export function toggled(text, seed) {
  const named = seedsIn(text);
  const others = named.filter((part) => part !== seed);
  return (others.length < named.length ? others : [...named, seed]).join(", ");
}

/**
 * Points in a square of 1: right is far from the others, up is good.
 * @param {Candidate[]} all
 * @returns {{seed: string, rank: number, x: number, y: number}[]}
 */
export function scatter(all) {
  const known = all.filter((one) => one.quality !== null && one.distance !== null);
  const scale = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value) => (high > low ? (value - low) / (high - low) : 0.5);
  };
  const [x, y] = [scale(known.map((one) => Number(one.distance))), scale(known.map((one) => Number(one.quality)))];
  return known.map((one) => ({ seed: one.seed, rank: one.rank, x: x(Number(one.distance)), y: 1 - y(Number(one.quality)) }));
}
