// What the board shows, without a page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { headline, sentence } from "./web/board/sentences.js";
import { candidates, cell, inOrder, isNews, isReport, nameOf, scatter, shown, timeline, toggled } from "./web/board/state.js";
import { LANGUAGES, wordsIn } from "./web/board/words.js";

const look = (step, seeds, kept, more = {}) => ({ step, seeds, kept, unary: null, pairwise: null, nearest: null, nearest_distance: null, ...more });
const REPORT = {
  id: "a",
  seeds: ["3", "1"],
  rounds: [
    look(2, ["1", "2", "3", "4"], ["1", "3", "4"], { unary: [0.1, 0.2, null, 0.4], nearest: ["2", "1", "4", "3"], nearest_distance: [5, 5, 7, 7] }),
    look(5, ["1", "3", "4"], ["3", "1"], { unary: [0.5, 0.6, 0.7] }),
  ],
  settings: { starting_candidates: 4, steps: 8, seed: "1" },
  plan: { start: 4, end: 2, steps: 8, in_words: "", looks: [{ step: 2, keep: 3, scored: true }, { step: 5, keep: 2, scored: true }] },
  beside: {},
};

test("what a workflow from anywhere holds is looked at before it is shown", () => {
  const good = { ...REPORT, id: "0123456789abcdef0123456789abcdef" };
  assert.ok(isReport(good) && isReport(JSON.parse(JSON.stringify(good))));
  const bad = [undefined, null, {}, "a", REPORT, { ...good, id: '"),url("https://elsewhere' }, { ...good, rounds: null }, { ...good, rounds: [{}] }, { ...good, rounds: [null] }, { ...good, settings: undefined }];
  assert.deepEqual(bad.map(isReport), bad.map(() => false));
});

test("a candidate is as its last round saw it", () => {
  const [one, two, three, four] = candidates(REPORT);
  assert.deepEqual(two, { seed: "2", round: 0, place: 1, left: 3, rank: -1, quality: 0.2, parts: [], nearest: "1", distance: 5 });
  assert.deepEqual([one.rank, three.rank, four.rank], [1, 0, -1]);
  assert.deepEqual([one.round, one.place, one.quality, four.left, three.left], [1, 0, 0.5, 6, null]);
});

test("the head says how far a run is, and was", () => {
  const head = (more = {}, until = undefined, gone = false) => headline(wordsIn("en"), { run: "a", report: REPORT, shows: true, status: "running", ...more }, 2, until, gone);
  assert.equal(head(), "2 of 4 · step 6 of 8");
  assert.equal(head({ status: "done" }), "2 of 4");
  assert.equal(head({ status: "done" }, 0), "2 of 4 · step 3 of 8");
  assert.equal(head({ status: "stopped" }), "2 of 4 · step 6 of 8 · The run was stopped.");
  assert.match(head({ shows: false }), / · Previews are off/);
  assert.match(head({ status: "done" }, undefined, true), /^2 of 4 · This run has no pictures/);
  const begun = { ...REPORT, seeds: [], rounds: [] };
  assert.equal(headline(wordsIn("en"), { run: "a", report: begun, shows: true, status: "running" }, 0, undefined, false), "4 of 4 · No look yet.");
  const images = { ...REPORT, settings: { ...REPORT.settings, steps: undefined } };
  assert.equal(headline(wordsIn("en"), { run: "a", report: images, shows: true, status: "running" }, 3, undefined, false), "3 of 4");
});

test("a candidate is told by all that is known of it, an image by no step", () => {
  const [, two, three] = candidates(REPORT);
  assert.equal(sentence(wordsIn("en"), REPORT, two), "seed 2 · left after step 3 · quality 0.200 · most like seed 1, distance 5.00");
  assert.equal(sentence(wordsIn("en"), REPORT, three), "seed 3 · chosen · quality 0.600");
  const images = { ...REPORT, settings: { starting_candidates: 4 } };
  assert.equal(sentence(wordsIn("en"), images, two), "image 2 · quality 0.200 · most like image 1, distance 5.00");
});

test("what each scorer said is there beside the sum", () => {
  const parts = { clip: [0.1, null], aesthetic: [5, 6], odd: null };
  const [one, two] = candidates({ ...REPORT, rounds: [look(0, ["1", "2"], ["1"], { parts })] });
  assert.deepEqual([one.parts, two.parts], [[["clip", 0.1], ["aesthetic", 5]], [["aesthetic", 6]]]);
});

test("what was seen in a round does not know what came after", () => {
  const then = candidates(REPORT, 0);
  assert.deepEqual(then.map((one) => [one.left, one.rank, one.round]), [[null, -1, 0], [3, -1, 0], [null, -1, 0], [null, -1, 0]]);
  assert.equal(then[2].quality, null);
});

test("the group comes first, then the last to leave", () => {
  assert.deepEqual(inOrder(candidates(REPORT)).map((one) => one.seed), ["3", "1", "4", "2"]);
});

test("of very many the group alone is shown", () => {
  const many = Array.from({ length: 2000 }, (_, i) => String(i));
  const report = { ...REPORT, seeds: ["5", "1999"], rounds: [look(0, many, ["5", "1999"])] };
  assert.deepEqual(shown(candidates(report)).map((one) => one.seed), ["5", "1999"]);
  assert.equal(shown(candidates(REPORT)).length, 4);
});

test("the timeline says how many live in each step, also of those that are not done", () => {
  assert.deepEqual(timeline(REPORT).map((at) => at.living), [4, 4, 4, 3, 3, 3, 2, 2]);
  assert.deepEqual(timeline(REPORT).map((at) => at.round), [null, null, 0, null, null, 1, null, null]);
  assert.deepEqual(timeline({ ...REPORT, rounds: REPORT.rounds.slice(0, 1) }).map((at) => at.living), [4, 4, 4, 3, 3, 3, 2, 2]);
  assert.deepEqual(timeline({ ...REPORT, plan: null }), []);
});

test("a picture is where the sheet has it", () => {
  assert.deepEqual(cell(0, 1), { columns: 1, rows: 1, position: "0% 0%", size: "100% 100%" });
  assert.deepEqual(cell(4, 5), { columns: 3, rows: 2, position: "50% 100%", size: "300% 200%" });
});

test("rows are named by their number, seeds of any size by themselves", () => {
  const large = "18446744073709551615";
  assert.deepEqual(nameOf(REPORT, large), ["seed", large]);
  assert.deepEqual(nameOf({ ...REPORT, settings: { starting_candidates: 4 } }, "7"), ["image", "7"]);
  assert.deepEqual(nameOf({ ...REPORT, settings: { starting_candidates: 4, rows: 4, seed: large } }, "1"), ["row", "2"]);
});

test("words that come late, twice or of a run before are no news", () => {
  const word = { run: "a", node: "7", begun: 10, said: 2 };
  assert.ok(isNews(undefined, word));
  assert.ok(isNews(word, { ...word, said: 3 }) && isNews(word, { ...word, run: "b", begun: 11, said: 1 }));
  assert.ok(!isNews(word, word) && !isNews(word, { ...word, said: 1 }) && !isNews(word, { ...word, run: "b", begun: 9, said: 9 }));
  assert.ok(!isNews(word, { run: "a" }));
});

test("a seed is put into a text, and taken out", () => {
  assert.equal(toggled("", "3"), "3");
  assert.equal(toggled("3, 11,40-47", "12"), "3, 11, 40-47, 12");
  assert.equal(toggled("3, 11", "3"), "11");
  assert.equal(toggled("13", "3"), "13, 3");
});

test("points lie in a square, also where all are alike", () => {
  const all = candidates({ ...REPORT, rounds: REPORT.rounds.slice(0, 1) });
  assert.deepEqual(scatter(all).map(({ seed, x, y }) => [seed, x, y]).map(([seed, x, y]) => [seed, x, Number(y.toFixed(3))]), [["1", 0, 1], ["2", 0, 0.667], ["4", 1, 0]]);
  assert.deepEqual(scatter(all.slice(0, 1)), [{ seed: "1", rank: 1, x: 0.5, y: 0.5 }]);
});

test("every language has every word", () => {
  for (const [language, words] of Object.entries(LANGUAGES)) assert.deepEqual(Object.keys(words), Object.keys(LANGUAGES.en), language);
  assert.equal(wordsIn("de")("seed"), "Seed");
  assert.equal(wordsIn("zh-TW")("pin"), wordsIn("zh")("pin"));
  assert.equal(wordsIn(undefined)("pin"), "Pin");
});
