import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { cell } from "./state.js";

// "More like this" in the graph: the candidate's picture in a Load Image, and a Quality Scorer `reference` that compares with it, beside the
// scorers that were there. What it does can be done by hand, and undone.

const FOLDER = "group_inference";
const [WIDTH, GAP] = [480, 40];

/** @typedef {import("./sheets.js").Source} Source */

/**
 * @param {any} sampler node with the input `unary`
 * @param {string} seed
 * @param {Source} source
 * @returns {Promise<string>} the input that cannot be changed here, or ""
 */
export async function moreLike(sampler, seed, source) {
  if (!sourceOf(sampler, "unary") && sampler.isInputConnected(sampler.findInputSlot("unary"))) return "unary";
  const name = await upload(await cut(source), `${seed}.png`);
  const { graph } = sampler;
  app.canvas.emitBeforeChange();
  const { image } = likeness(sampler) ?? added(sampler);
  const widget = image.widgets.find((one) => one.name === "image");
  if (Array.isArray(widget.options.values) && !widget.options.values.includes(name)) widget.options.values.push(name);
  widget.value = name;
  widget.callback?.(name);
  app.canvas.emitAfterChange();
  graph.setDirtyCanvas(true, true);
  return "";
}

/** The picture alone. @param {Source} source */
async function cut({ address, place, count }) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(await answer.text());
  const sheet = await createImageBitmap(await answer.blob());
  const { columns, rows } = cell(place, count);
  const [width, height] = [Math.floor(sheet.width / columns), Math.floor(sheet.height / rows)];
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.drawImage(sheet, -(place % columns) * width, -Math.floor(place / columns) * height);
  return canvas.convertToBlob();
}

/** Its name among the host's input files. @param {Blob} picture @param {string} name */
async function upload(picture, name) {
  const body = new FormData();
  body.append("image", picture, name);
  body.append("subfolder", FOLDER);
  const answer = await api.fetchApi("/upload/image", { method: "POST", body });
  // The host gives no reasons.
  if (!answer.ok) throw new Error(`/upload/image: ${answer.status} ${answer.statusText}`);
  const { name: file, subfolder } = await answer.json();
  return `${subfolder}/${file}`;
}

/** The picture that quality is likeness to already, if it comes from a Load Image. @param {any} sampler */
function likeness(sampler) {
  const scorers = [sourceOf(sampler, "unary")].flatMap((one) => (one?.type === "CombineUnaryScorers" ? one.inputs.map(({ name }) => sourceOf(one, name)) : one));
  const found = scorers.find((one) => one?.type === "UnaryScorer" && valueOf(one, "scorer") === "reference");
  const image = found && sourceOf(found, "scorer.image");
  return image?.type === "LoadImage" ? { image } : null;
}

/** New nodes to the left of the sampler and below it, connected. @param {any} sampler */
function added(sampler) {
  const { graph } = sampler;
  const add = (type, column) => {
    const node = window.LiteGraph.createNode(type);
    node.pos = [sampler.pos[0] - column * (WIDTH + GAP), sampler.pos[1] + sampler.size[1] + GAP];
    graph.add(node);
    return node;
  };
  const [image, scorer] = [add("LoadImage", 3), add("UnaryScorer", 2)];
  set(scorer, "scorer", "reference");
  image.connect(0, scorer, scorer.findInputSlot("scorer.image"));
  const pairwise = sourceOf(sampler, "pairwise");
  const by = pairwise && valueOf(pairwise, "scorer");
  if (["dinov2", "clip", "siglip"].includes(by)) {
    set(scorer, "scorer.by", by);
    set(scorer, "scorer.by.model", valueOf(pairwise, "scorer.model"));
  }
  const before = sourceOf(sampler, "unary");
  const combined = before && before.type !== "CombineUnaryScorers" ? add("CombineUnaryScorers", 1) : before;
  if (combined && combined !== before) {
    before.connect(0, combined, 0);
    combined.connect(0, sampler, sampler.findInputSlot("unary"));
  }
  if (combined) scorer.connect(0, combined, combined.inputs.findIndex(({ type }, slot) => type === "GROUP_UNARY" && !combined.isInputConnected(slot)));
  else scorer.connect(0, sampler, sampler.findInputSlot("unary"));
  return { image };
}

/** @param {any} node @param {string} input */
function sourceOf(node, input) {
  const slot = node.findInputSlot(input);
  return slot < 0 ? null : node.getInputNode(slot);
}

/** @param {any} node @param {string} name */
function valueOf(node, name) {
  return node.widgets?.find((widget) => widget.name === name)?.value;
}

/** @param {any} node @param {string} name @param {unknown} value */
function set(node, name, value) {
  const widget = node.widgets.find((one) => one.name === name);
  widget.value = value;
  widget.callback?.(value);
}
