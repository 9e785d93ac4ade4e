import { app } from "../../scripts/app.js";

// A workflow that was saved before the samplers had the input `schedule` holds no value for it: it keeps the paper's schedule instead
// of taking the default of new nodes.
app.registerExtension({
  name: "group-inference.old-workflows",
  beforeRegisterNodeDef(nodeType, { name }) {
    if (name !== "GroupKSampler" && name !== "GroupSampler") return;
    const { onConfigure } = nodeType.prototype;
    nodeType.prototype.onConfigure = function (saved) {
      onConfigure?.apply(this, arguments);
      const index = this.widgets.findIndex((widget) => widget.name === "schedule");
      if (saved.widgets_values?.length <= index) this.widgets[index].value = "paper";
    };
  },
});
