from comfy_api.latest import io

from ..scorers import weights
from ..scorers.clip import Clip, ClipDistance, ClipText
from ..scorers.color import RANGES, ColorHistogram
from ..scorers.dinov2 import Dinov2, Dinov2Class, Dinov2Patches
from ..scorers.latent import LatentDistance
from .types import CATEGORY, GroupPairwise, GroupUnary


def model_input(model_type):
    options = weights.choices(model_type)
    return io.Combo.Input(
        "model", options=options, default=options[0], tooltip="A folder in models/group_scorers, in the Hugging Face layout."
    )


class UnaryScorer(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="UnaryScorer",
            display_name="Unary Scorer",
            category=CATEGORY,
            description="How good one image is. Connect it to a group sampler or to QIP Selector.",
            search_aliases=["group inference", "quality", "clip score", "reward", "aesthetic"],
            inputs=[
                io.DynamicCombo.Input("scorer", options=[
                    io.DynamicCombo.Option("clip", [
                        model_input("clip"),
                        io.String.Input("text", multiline=True, default="", tooltip="What the image should show, in plain words: usually the prompt without weights and quality tags."),
                    ]),
                ], tooltip="clip: how well image and text agree, -1 to 1."),
            ],
            outputs=[GroupUnary.Output(display_name="unary")],
        )  # fmt: skip

    @classmethod
    def execute(cls, scorer) -> io.NodeOutput:
        if not scorer["text"].strip():
            raise ValueError("The clip scorer compares images with a text: fill in its text input.")
        return io.NodeOutput(ClipText(Clip.shared(scorer["model"]), scorer["text"]))


class PairwiseScorer(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="PairwiseScorer",
            display_name="Pairwise Scorer",
            category=CATEGORY,
            description="How different two images are. Connect it to a group sampler or to QIP Selector.",
            search_aliases=["group inference", "diversity", "difference", "distance", "similarity"],
            inputs=[
                io.DynamicCombo.Input("scorer", options=[
                    io.DynamicCombo.Option("dinov2", [
                        model_input("dinov2"),
                        io.Combo.Input("compare", options=["patches", "class token"], default="patches", tooltip="patches: what is where. class token: what is in the image, wherever it is."),
                    ]),
                    io.DynamicCombo.Option("clip", [model_input("clip")]),
                    io.DynamicCombo.Option("color", [io.Combo.Input("space", options=list(RANGES), default="lab", tooltip="Colour space of the histograms.")]),
                    io.DynamicCombo.Option("latent", []),
                ], tooltip="dinov2: layout and content. clip: meaning. color: colours whatever the layout. latent: the latents themselves, needs no model and no decoding."),
            ],
            outputs=[GroupPairwise.Output(display_name="pairwise")],
        )  # fmt: skip

    @classmethod
    def execute(cls, scorer) -> io.NodeOutput:
        match scorer["scorer"]:
            case "dinov2":
                kind = Dinov2Patches if scorer["compare"] == "patches" else Dinov2Class
                return io.NodeOutput(kind(Dinov2.shared(scorer["model"])))
            case "clip":
                return io.NodeOutput(ClipDistance(Clip.shared(scorer["model"])))
            case "color":
                return io.NodeOutput(ColorHistogram(scorer["space"]))
            case "latent":
                return io.NodeOutput(LatentDistance())
