import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { moreLike } from "./alike.js";
import { isNews, isReport, seedsIn, toggled } from "./state.js";
import { View } from "./view.js";
import { wordsIn } from "./words.js";

// The board on the node that samples or selects: a view of its run and an editor of its inputs. What is there of a run is asked from the
// server, whose word only says that there is more; so a slow browser leaves out rounds, and a page that was loaded anew sees the same.

const PATH = "/group_inference/board";
// Of a node's properties: the last run's report, which pictures carry too, see board/saved.py.
const REPORT = "group_report";
const HEIGHT = 380;
// Milliseconds from one question to the next while it samples, on the same processor as like as not (dev.py bench board).
const REST = 1000;
const MEMBERS = ["pinned", "banned"];
const ALL = [...MEMBERS, "lambda_score", "output_group_size"];

/** @typedef {import("./state.js").Word} Word */
/**
 * @typedef {object} Board
 * @property {any} node
 * @property {View} view
 * @property {string} run the one that is shown
 * @property {Word | undefined} known
 * @property {boolean} asking
 * @property {boolean} again
 * @property {() => void} wake ends the rest between two questions
 * @property {string} paused the run that was last seen paused
 * @property {Record<string, unknown>} inputs of the node at that time, which may be those of a later run already
 * @property {Set<string>} changed names of those that were changed since
 */

/** @type {WeakMap<object, Board>} by node */
const boards = new WeakMap();

/** The node that the host executes by this id, "12:3" being node 3 of subgraph 12. @param {string} id */
function nodeOf(id) {
  let graph = app.graph;
  let node;
  for (const part of String(id).split(":")) {
    node = graph?.nodes.find((one) => String(one.id) === part);
    graph = node?.subgraph;
  }
  return node;
}

/** The board of a node, made when there is something to show. @param {any} node @returns {Board} */
function boardOf(node) {
  const there = boards.get(node);
  if (there) return there;
  const words = wordsIn(app.extensionManager.setting.get("Comfy.Locale"));
  const sheet = (run, round) => api.apiURL(`${PATH}/${run}/${round}.webp`);
  const apply = (values) => said(write(node, values), words);
  const choose = (run, wanted) => post(`${run}/choose`, { ...wanted, ...inputsOf(node, MEMBERS) });
  const answer = (run, values, go) => {
    const refused = write(node, values);
    return refused ? Promise.resolve({ said: said(refused, words) }) : post(`${run}/pause`, { ...changedInputs(board), go });
  };
  const view = new View({ words, sheet, marked: (seed) => marked(node, seed), choose, answer, apply, acts: actsOf(node, words) });
  const board = /** @type {Board} */ ({ node, view, run: "", known: undefined, asking: false, again: false, wake: () => {}, paused: "", inputs: {}, changed: new Set() });
  boards.set(node, board);
  view.element.style.minHeight = `${HEIGHT}px`; // of the newer renderer, which asks no widget
  const widget = node.addDOMWidget("group_board", "GROUP_BOARD", view.element, { serialize: false, getMinHeight: () => HEIGHT });
  widget.serialize = false;
  node.setSize([node.size[0], Math.max(node.size[1], node.computeSize()[1])]);
  return board;
}

/** Shows what the server has of a run. @param {Board} board @param {string} run */
async function ask(board, run) {
  board.run = run;
  board.again = board.asking;
  if (board.asking) return;
  board.asking = true;
  try {
    do {
      board.again = false;
      const answer = await api.fetchApi(`${PATH}/${board.run}`);
      const seen = answer.ok ? await answer.json() : null;
      if (seen?.run !== board.run) continue; // gone, or another one is to be shown by now
      if (seen.status === "paused" && board.paused !== seen.run) Object.assign(board, { paused: seen.run, inputs: inputsOf(board.node, ALL), changed: new Set() });
      board.view.show(seen);
      if (seen.status === "done") board.node.properties[REPORT] = seen.report;
      if (seen.status === "running") await rest(board);
    } while (board.again);
  } finally {
    board.asking = false;
  }
}

/** @param {Board} board @returns {Promise<void>} */
function rest(board) {
  return new Promise((wake) => {
    board.wake = wake;
    setTimeout(wake, REST);
  });
}

/** What the server answers; `said` is what is wrong. @param {string} path @param {object} wanted @returns {Promise<any>} */
async function post(path, wanted) {
  const answer = await api.fetchApi(`${PATH}/${path}`, { method: "POST", body: JSON.stringify(wanted) });
  return answer.ok ? answer.json() : { said: await answer.text() };
}

/** @param {Word} word */
function hear(word) {
  const node = nodeOf(word?.node);
  if (!node || typeof word.run !== "string") return;
  const board = boardOf(node);
  if (!isNews(board.known, word)) return;
  board.known = word;
  // Nobody wants to wait for these: another run, a pause, the end.
  if (word.run !== board.run || word.status !== "running") board.wake();
  ask(board, word.run);
}

/** What a node says when it is done, also of a run that the host has done before, and the pictures of those behind it. @param {any} detail */
function executed({ node: id, display_node: shown = id, output }) {
  const node = nodeOf(shown);
  const run = output?.group_board?.[0];
  if (node && run && boardOf(node).run !== run) ask(boardOf(node), run);
  if (!node || !output?.images?.length) return;
  const addresses = output.images.map((image) => api.apiURL(`/view?${new URLSearchParams(image)}`));
  for (const one of upstream(node)) boards.get(one)?.view.showResults(addresses);
}

/** All nodes of its graph that lead to a node. @param {any} node */
function upstream(node) {
  // A subgraph's node does not say what leads to it.
  const links = [...(node.graph?.links.values() ?? [])];
  const found = new Set();
  const waiting = [node];
  while (waiting.length) {
    const { id } = waiting.pop();
    for (const link of links.filter((one) => one.target_id === id)) {
      const origin = node.graph.getNodeById(link.origin_id);
      if (!origin || found.has(origin)) continue;
      found.add(origin);
      waiting.push(origin);
    }
  }
  return found;
}

/** The node whose inputs say who is chosen: the Group Sampler of a node that samples with one. @param {any} node */
function editorOf(node) {
  return [node, ...upstream(node)].find((one) => one.widgets?.some((widget) => widget.name === MEMBERS[0]));
}

/** @param {any} node @param {string} name */
function widgetOf(node, name) {
  return editorOf(node)?.widgets.find((widget) => widget.name === name);
}

/** @param {any} node @param {string} seed */
function marked(node, seed) {
  return MEMBERS.find((name) => seedsIn(String(widgetOf(node, name)?.value ?? "")).includes(seed)) ?? "";
}

/** Whether another node gives an input. @param {any} node @param {string} name */
function isLinked(node, name) {
  const editor = editorOf(node);
  return editor?.inputs?.some((input, slot) => input.widget?.name === name && editor.isInputConnected(slot));
}

/** What inputs say that no other node gives. @param {any} node @param {string[]} names */
function inputsOf(node, names) {
  return Object.fromEntries(names.filter((name) => widgetOf(node, name) && !isLinked(node, name)).map((name) => [name, widgetOf(node, name).value]));
}

/** What inputs say that were changed since a run was paused. @param {Board} board */
function changedInputs({ node, inputs, changed }) {
  const now = inputsOf(node, ALL);
  for (const name of Object.keys(now)) if (now[name] !== inputs[name]) changed.add(name);
  return inputsOf(node, [...changed]);
}

/** Writes values into inputs, all or, if one is connected to another node, none. @param {any} node @param {Record<string, unknown>} values @returns {string} the name of that one, or "" */
function write(node, values) {
  const editor = editorOf(node);
  const refused = Object.keys(values).find((name) => !widgetOf(node, name) || isLinked(node, name));
  if (refused) return refused;
  for (const [name, value] of Object.entries(values)) {
    widgetOf(node, name).value = value;
    widgetOf(node, name).callback?.(value);
  }
  editor.setDirtyCanvas(true, true);
  return "";
}

/** What came of it, for the user. @param {string} refused @param {(key: string) => string} words */
function said(refused, words) {
  return refused ? `${refused} ${words("linked")}` : words("later");
}

/** @param {any} node @param {(key: string) => string} words */
function actsOf(node, words) {
  const toggle = (name, other) => (seed) => {
    const changed = (which) => toggled(String(widgetOf(node, which)?.value ?? ""), seed);
    const moved = marked(node, seed) === other ? { [other]: changed(other) } : {};
    return said(write(node, { ...moved, [name]: changed(name) }), words);
  };
  const copy = async (seed) => {
    // Pages from another machine have no clipboard without HTTPS: what is shown can be copied by hand.
    await navigator.clipboard?.writeText(seed);
    return `${navigator.clipboard ? words("copied") : words("seed")} ${seed}`;
  };
  const finish = async (seed) => {
    const refused = write(node, { seeds: seed, pinned: "", banned: "", output_group_size: 1 });
    if (!refused) await app.queuePrompt(0, 1);
    return said(refused, words);
  };
  const like = async (seed, source) => {
    if (!source) return words("gone");
    return moreLike(editorOf(node), seed, source).then((refused) => said(refused, words), (e) => String(e.message));
  };
  return { copy, ...(widgetOf(node, "seeds") ? { finish } : {}), pin: toggle("pinned", "banned"), ban: toggle("banned", "pinned"), like };
}

app.registerExtension({
  name: "group-inference.board",
  setup() {
    api.addEventListener("group_inference.board", ({ detail }) => hear(detail));
    api.addEventListener("executed", ({ detail }) => executed(detail));
  },
  loadedGraphNode(node) {
    const report = node.properties?.[REPORT];
    if (!isReport(report)) return;
    const board = boardOf(node);
    board.run = report.id;
    board.view.show({ run: report.id, status: "done", shows: true, report });
  },
  /** Runs that go on while a page is loaded. */
  async afterConfigureGraph() {
    const answer = await api.fetchApi(`${PATH}?client=${encodeURIComponent(api.clientId ?? api.initialClientId ?? "")}`);
    if (answer.ok) (await answer.json()).forEach(hear);
  },
});
