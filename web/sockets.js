import { app } from "../../scripts/app.js";

// Colours of this pack's sockets and links: quality and difference are told apart from each other and from the host's types.
const COLORS = { GROUP_UNARY: "#b5d334", GROUP_PAIRWISE: "#35b5a8", GROUP_WORKERS: "#b57d35" };

/** Each renderer keeps colours in a place of its own; another palette takes the canvas's away. */
function paint() {
  Object.assign(app.canvas.default_connection_color_byType, COLORS);
  Object.assign(app.canvas.constructor.link_type_colors, COLORS);
  for (const [type, color] of Object.entries(COLORS)) document.documentElement.style.setProperty(`--color-datatype-${type}`, color);
}

app.registerExtension({
  name: "group-inference.sockets",
  setup() {
    app.ui.settings.addEventListener("Comfy.ColorPalette.change", () => setTimeout(paint));
  },
  // The first palette comes after the extensions, graphs after that.
  afterConfigureGraph: paint,
});
