import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

// What a node says when it is done stays on it: the host's text below a node is gone after a reload, so it is kept among the node's
// properties and said again.
const SAID = "group_summary";
// Pixels: the height of a line of the host's text, and about what a character takes of its width.
const [LINE, CHARACTER] = [15, 7];
const NODES = new Set(["GroupKSampler", "GroupReport", "QIPSelector", "SaveGroup", "ScorerDownload"]);

/** Says a text on a node the way the host shows progress, in whatever renderer; only the graph that is looked at can show it. */
function say(node) {
  const text = node.properties?.[SAID];
  if (!text || node.graph !== app.canvas.graph) return;
  api.dispatchCustomEvent("progress_text", { nodeId: String(node.id), text });
  const shown = node.widgets?.find((widget) => widget.type === "progressText");
  if (!shown) return;
  // The host adds it anew, below all others: the board would move whenever a run ends.
  const board = node.widgets.findIndex((widget) => widget.name === "group_board");
  if (board >= 0 && board < node.widgets.indexOf(shown)) node.widgets.push(...node.widgets.splice(board, 1));
  // On the canvas the host leaves room for two lines; the other renderer fits its nodes to what is in them.
  if (app.extensionManager.setting.get("Comfy.VueNodes.Enabled")) return;
  const lines = text.split("\n").map((line) => Math.ceil((line.length * CHARACTER) / node.size[0]));
  shown.options.getMinHeight = () => LINE * (2 + lines.reduce((sum, count) => sum + count, 0));
  node.setSize([node.size[0], Math.max(node.size[1], node.computeSize()[1])]);
}

/** While a prompt is made of the graph nothing is said: pictures would carry what the run before had to say. */
let heldBack = [];

function holdBack() {
  const nodes = [app.graph, ...(app.graph.subgraphs?.values() ?? [])].flatMap((graph) => graph.nodes);
  heldBack = nodes.filter((node) => node.properties?.[SAID]).map((node) => [node, node.properties[SAID]]);
  for (const [node] of heldBack) delete node.properties[SAID];
}

function giveBack() {
  for (const [node, text] of heldBack) node.properties[SAID] ??= text;
  heldBack = [];
}

app.registerExtension({
  name: "group-inference.summary",
  beforeRegisterNodeDef(nodeType, { name }) {
    if (!NODES.has(name)) return;
    const { onExecuted } = nodeType.prototype;
    nodeType.prototype.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      if (!output?.[SAID]) return;
      this.properties[SAID] = output[SAID].join("\n");
      say(this);
    };
  },
  setup() {
    api.addEventListener("promptQueueing", holdBack);
    api.addEventListener("promptQueued", giveBack);
    // Newer frontends clear the texts of a job's nodes when it ends, in listeners of this event.
    api.addEventListener("execution_success", () => setTimeout(() => app.canvas.graph.nodes.forEach(say)));
  },
  loadedGraphNode: say,
});
