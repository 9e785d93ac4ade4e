import { again } from "./again.js";
import { charts } from "./charts.js";
import { element } from "./dom.js";
import { enlarge } from "./large.js";
import { pause } from "./pause.js";
import { headline, named, sentence } from "./sentences.js";
import { Sheets } from "./sheets.js";
import { candidates, inOrder, leftAfter, shown, timeline } from "./state.js";

// What is seen of a run: in a root of its own, so that no style leaves it or gets in.

/** @typedef {import("./state.js").Candidate} Candidate */
/** @typedef {import("./state.js").Report} Report */
/** @typedef {import("./sheets.js").Source} Source */
/**
 * @typedef {object} Seen A run as the server tells it, see board/watched.py.
 * @property {string} run
 * @property {string} status
 * @property {boolean} shows
 * @property {number | null} [again] the round that can be asked what would be
 * @property {number | null} [seconds_left] until one that is paused goes on by itself
 * @property {Report} report
 */
/**
 * @typedef {object} Outside What the board needs of the page.
 * @property {(key: string) => string} words
 * @property {(run: string, round: number | string) => string} sheet the address of a round's pictures
 * @property {(seed: string) => string} marked "pinned", "banned" or ""
 * @property {(run: string, wanted: object) => Promise<{seeds?: string[], said?: string}>} choose whom a round would choose by other values
 * @property {(run: string, values: Record<string, number>, go: boolean) => Promise<{seconds_left?: number, said?: string}>} answer writes values into the node and tells a run that is paused what its inputs say
 * @property {(values: Record<string, number>) => string} apply writes values into the node, and says so
 * @property {Record<string, (seed: string, source?: Source) => string | Promise<string>>} acts what can be done with a candidate, in order; each says what it did
 */

// Of candidates that nobody has looked at yet.
const MOST_BLANK = 256;
/** @type {Record<string, string>} */
const KEYS = { p: "pin", b: "ban", Enter: "large" };
const ARROWS = { ArrowLeft: -1, ArrowRight: 1 };

// Of all boards; a link would be fetched again whenever a board is moved, and the board be bare until then.
const STYLE = new CSSStyleSheet();
fetch(new URL("./board.css", import.meta.url))
  .then((answer) => answer.text())
  .then((rules) => STYLE.replace(rules));

export class View {
  /** @param {Outside} outside */
  constructor(outside) {
    this.outside = outside;
    this.element = element("div", "group-board");
    const root = this.element.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [STYLE];
    const part = (name) => root.appendChild(element("div", name));
    this.head = part("head");
    this.time = part("time");
    this.about = part("about");
    this.tools = part("tools");
    this.again = part("again");
    this.pause = part("again");
    this.sheet = part("sheet");
    this.charts = part("charts");
    this.large = part("large");
    this.sheet.setAttribute("role", "listbox");
    this.sheet.setAttribute("aria-label", outside.words("board"));
    this.about.setAttribute("aria-live", "polite");
    /** @type {Map<string, HTMLElement>} */
    this.tiles = new Map();
    /** @type {Map<string, Source>} where the picture of each is */
    this.sources = new Map();
    this.sheets = new Sheets(() => this.draw(), (address) => this.missed(address));
    // Nothing is drawn before something is shown.
    this.seen = /** @type {Seen} */ (/** @type {unknown} */ (null));
    /** @type {string | null} */
    this.chosen = null;
    this.comparing = false;
    /** @type {Set<string>} who would be in the group by what is being tried */
    this.would = new Set();
    this.gone = false; // what the run left
    /** @type {number | undefined} the round that is pointed at in the timeline */
    this.until = undefined;
    /** @type {string[]} addresses of the group's finished pictures, once there are any */
    this.results = [];
    this.large.hidden = true;
    /** @type {ReturnType<typeof pause> | null} while the run is paused */
    this.waits = null;
    this.sheet.addEventListener("keydown", (event) => this.key(event));
    // After what was done has been done.
    for (const kind of ["click", "keyup", "change"]) root.addEventListener(kind, () => this.waits && this.answer({}, false));
  }

  /** @param {Seen} seen */
  show(seen) {
    if (this.seen?.run !== seen.run) {
      for (const known of [this.tiles, this.sources, this.sheets]) known.clear();
      this.sheet.replaceChildren();
      this.tools.replaceChildren();
      this.element.style.overflow = "";
      [this.chosen, this.comparing, this.results, this.gone, this.large.hidden, this.until] = [null, false, [], false, true, undefined];
    }
    this.seen = seen;
    this.would = new Set();
    const { report } = seen;
    this.draw();
    this.timeline(report);
    const paused = seen.status === "paused";
    const over = !paused && seen.status !== "running";
    const round = seen.status === "running" ? null : (seen.again ?? null);
    const tried = round === null ? null : again(seen, round, this.outside, (seeds, said) => this.showWould(seeds, said));
    this.again.replaceChildren(...(tried?.parts ?? []));
    this.waits?.over();
    this.waits = paused ? pause(seen.seconds_left ?? 0, this.outside.words, () => this.answer(tried?.untold() ?? {}, true)) : null;
    this.pause.replaceChildren(...(this.waits?.parts ?? []));
    this.charts.replaceChildren(...(over && report.rounds.length ? charts(report, this.outside.words, (seed) => this.name(seed)) : []));
  }

  /** Finished pictures of the group, best first, if they are as many as it has; they may come before word that it is chosen. @param {string[]} addresses */
  showResults(addresses) {
    this.results = addresses;
    if (this.seen) this.draw();
  }

  /** Tells a run that is paused what counts. @param {Record<string, number>} values that are to be written before @param {boolean} go on at once */
  async answer(values, go) {
    const { run } = this.seen;
    const { seconds_left: seconds, said } = await this.outside.answer(run, values, go);
    if (this.seen.run !== run || !this.waits) return;
    if (seconds !== undefined) this.waits.stay(seconds);
    if (said) this.about.textContent = said;
  }

  /** @param {string[]} seeds @param {string} said */
  showWould(seeds, said) {
    this.would = new Set(seeds);
    this.draw();
    this.about.textContent = said;
  }

  /** The tiles, as they are or as they were in a round. */
  draw() {
    const { report, status } = this.seen;
    const { until } = this;
    const all = shown(candidates(report, until));
    const living = all.filter((one) => one.left === null).length;
    this.head.textContent = headline(this.outside.words, this.seen, living, until, this.gone);
    const order = until === undefined && status === "done" ? inOrder(all) : all;
    const blank = Array.from({ length: order.length ? 0 : Math.min(report.settings.starting_candidates, MOST_BLANK) }, () => element("div", "tile"));
    const newest = status === "running" && until === undefined ? report.rounds.length - 1 : null;
    const tiles = [...order.map((one) => this.tile(one, newest)), ...blank];
    // What is moved loses the focus.
    if (tiles.some((tile, i) => tile !== this.sheet.children[i]) || tiles.length < this.sheet.children.length) {
      const { activeElement } = /** @type {ShadowRoot} */ (this.element.shadowRoot);
      this.sheet.replaceChildren(...tiles);
      /** @type {HTMLElement | null} */ (activeElement)?.focus({ preventScroll: true });
    }
  }

  /** @param {Candidate} one @param {number | null} newest the round whose sheet alone is asked for, where there is a picture from before */
  tile(one, newest) {
    const { report } = this.seen;
    const tile = this.tiles.get(one.seed) ?? this.newTile(one.seed);
    const about = sentence(this.outside.words, report, one);
    const known = [one.left === null ? "" : "left", one.rank >= 0 ? "best" : "", this.would.has(one.seed) ? "would" : "", this.outside.marked(one.seed), one.seed === this.chosen ? "current" : ""];
    tile.className = ["tile", ...known].filter(Boolean).join(" ");
    tile.dataset.left = String(leftAfter(report, one) ?? "");
    tile.setAttribute("aria-label", about);
    tile.setAttribute("aria-selected", String(one.seed === this.chosen));
    tile.onpointerenter = tile.onfocus = () => (this.about.textContent = about);
    const source = this.source(one);
    if (!source) return tile;
    this.sources.set(one.seed, source);
    if (newest === null || one.round === newest || this.sheets.has(source.address) || !tile.style.backgroundImage) this.sheets.paint(tile, source);
    return tile;
  }

  /** Where the picture of a candidate is, that of the group finished if it is there; undefined before it may be seen. @param {Candidate} one @returns {Source | undefined} */
  source(one) {
    const { report, run, shows, status } = this.seen;
    const inGroup = one.rank >= 0 && status === "done";
    if (inGroup && this.results.length === report.seeds.length) return { address: this.results[one.rank], place: 0, count: 1 };
    if (!shows) return undefined;
    if (inGroup) return { address: this.outside.sheet(run, "results"), place: one.rank, count: report.seeds.length };
    return { address: this.outside.sheet(run, one.round), place: one.place, count: report.rounds[one.round].seeds.length };
  }

  /** @param {string} seed */
  newTile(seed) {
    const tile = element("button");
    tile.setAttribute("role", "option");
    tile.dataset.seed = seed;
    tile.onclick = () => this.select(seed);
    this.tiles.set(seed, tile);
    return tile;
  }

  /** What the server does not give, or is no picture, as a saved video; whether to ask again. @param {string} address */
  missed(address) {
    if (this.results.includes(address)) this.results = [];
    else if (this.seen.status === "running") return true;
    else this.gone ||= [...this.sources.values()].some((source) => source.address === address);
    this.draw();
    return false;
  }

  /** @param {Report} report */
  timeline(report) {
    const most = Math.max(1, report.settings.starting_candidates);
    this.time.replaceChildren(
      ...timeline(report).map(({ step, living, round }) => {
        const bar = element("div", round === null ? "bar" : "bar look");
        bar.style.height = `${Math.max(6, (100 * living) / most)}%`;
        bar.title = `${this.outside.words("step")} ${step}: ${living} ${this.outside.words("living")}`;
        if (round !== null) bar.onpointerenter = () => this.point(round);
        return bar;
      }),
    );
    this.time.onpointerleave = () => this.point();
  }

  /** @param {number} [round] */
  point(round) {
    this.until = round;
    this.draw();
  }

  /** @param {string} seed */
  name(seed) {
    return named(this.outside.words, this.seen.report, seed);
  }

  /** @param {string} seed */
  select(seed) {
    if (this.comparing && this.chosen !== null && seed !== this.chosen) {
      this.comparing = false;
      return this.enlarge(this.chosen, seed);
    }
    this.chosen = seed;
    this.draw();
    const { words, acts } = this.outside;
    const button = (key, act) => {
      const made = element("button", "", words(key));
      made.onclick = act;
      made.dataset.act = key;
      return made;
    };
    const own = Object.keys(acts).map((key) => button(key, () => this.act(key)));
    this.tools.replaceChildren(element("span", "", this.name(seed)), ...own, button("large", () => this.enlarge(seed)), button("compare", () => this.compare()));
  }

  compare() {
    this.comparing = true;
    this.about.textContent = this.outside.words("click");
  }

  /** @param {string} key */
  async act(key) {
    if (this.chosen === null) return;
    const said = await this.outside.acts[key](this.chosen, this.sources.get(this.chosen));
    this.draw();
    this.about.textContent = said;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const tile = /** @type {HTMLElement} */ (event.composedPath()[0]);
    const seed = tile.dataset?.seed;
    if (!seed || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = /** @type {HTMLElement[]} */ ([...this.sheet.children]);
    const across = all.findIndex((other) => other.offsetTop > all[0].offsetTop);
    /** @type {Record<string, number>} */
    const moves = { ...ARROWS, ArrowUp: -Math.max(1, across), ArrowDown: Math.max(1, across) };
    const [act, move] = [KEYS[event.key], moves[event.key]];
    if (!act && !move) return;
    event.preventDefault();
    event.stopPropagation();
    if (move) return all[all.indexOf(tile) + move]?.focus();
    const comparing = this.comparing && seed !== this.chosen;
    this.select(seed);
    if (comparing) return; // two are large now
    if (act === "large") this.enlarge(seed);
    else this.act(act);
  }

  /** One picture large, or two under a slider. @param {...string} seeds */
  enlarge(...seeds) {
    const pictures = seeds.map((seed) => ({ style: /** @type {HTMLElement} */ (this.tiles.get(seed)).style.cssText, name: this.name(seed) }));
    // Over what is seen of the board, which does not move meanwhile.
    this.large.style.top = `${this.element.scrollTop}px`;
    this.element.style.overflow = "hidden";
    enlarge(this.large, pictures, this.outside.words("close"), () => {
      this.element.style.overflow = "";
      this.tiles.get(seeds[0])?.focus();
    });
  }
}
