import { app } from "../../scripts/app.js";

/** A Group KSampler in the place of a KSampler, with its links and values, one step to undo on the canvas (the other renderer
 * notes the size of the new node as a step of its own). */
function replace(sampler) {
  const { graph } = sampler;
  const group = window.LiteGraph.createNode("GroupKSampler");
  app.canvas.emitBeforeChange();
  group.pos = [...sampler.pos];
  graph.add(group);
  for (const { name, value } of sampler.widgets) {
    const own = group.widgets.find((widget) => widget.name === name);
    if (own) own.value = value;
  }
  for (const [from, { name }] of [...sampler.inputs].entries()) {
    if (!sampler.isInputConnected(from)) continue;
    sampler.getInputNode(from).connect(sampler.getInputLink(from).origin_slot, group, group.findInputSlot(name));
  }
  for (const link of [...(sampler.outputs[0].links ?? [])]) {
    const { target_id, target_slot } = graph.getLink(link);
    group.connect(0, graph.getNodeById(target_id), target_slot);
  }
  graph.remove(sampler);
  app.canvas.emitAfterChange();
}

app.registerExtension({
  name: "group-inference.replace",
  getNodeMenuItems: (node) => (node.type === "KSampler" ? [{ content: "Replace by Group KSampler", callback: () => replace(node) }] : []),
});
