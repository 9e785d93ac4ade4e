from comfy_api.latest import io

from ..sampling.inputs import check_text
from ..scorers import weights
from ..scorers.aesthetic import Aesthetic
from ..scorers.backbone import PREPROCESS
from ..scorers.cfg_agreement import CfgAgreement
from ..scorers.clip import Clip, Siglip
from ..scorers.color import CHANNELS, ColorHistogram
from ..scorers.dinov2 import Dinov2, Dinov3, PatchDistance
from ..scorers.embedding import EmbeddingDistance, HostVision, Reference
from ..scorers.latent import LatentDistance
from ..scorers.lpips import Lpips
from ..scorers.motion import Motion
from ..scorers.open_clip import OpenClip
from ..scorers.structure import Edges, Ssim
from ..scorers.text_image import ClipIqa, TextAxis, TextImage
from ..scorers.vlm import Vlm
from .types import CATEGORY, GroupPairwise, GroupUnary

# What a backbone's folder holds, and how pictures are compared by it.
BACKBONES = {"clip": Clip, "siglip": Siglip, "dinov2": Dinov2, "dinov3": Dinov3}
COMPARISONS = ["patches", "class token"]


def model_input(backbone, first=None):
    """The folders that there are or could be, `first` before all others."""
    options = [name for name in weights.choices(backbone.model_type) if name != first]
    options = [first, *options] if first else options
    return io.Combo.Input(
        "model",
        options=options,
        default=options[0],
        tooltip="A folder in models/group_scorers; the node Scorer Download fetches known ones.",
    )


def text_input():
    return io.String.Input(
        "text",
        multiline=True,
        default="",
        tooltip="What the image should show, in plain words. Empty: the prompt itself, as it is found upstream of the sampler.",
    )


def preprocess_input(*left_out):
    """Of the ways to prepare pictures all but those left out."""
    return io.Combo.Input(
        "preprocess",
        options=[way for way in PREPROCESS if way not in left_out],
        default=PREPROCESS[0],
        optional=True,
        advanced=True,
        tooltip="model: the whole picture, squashed to the model's square: better for whole scenes and counts. crop: the middle, undistorted, as in the model's training: better for wide pictures (16:9) with the subject in the centre. reference: squashed exactly as by the paper's code, bilinear without antialiasing.",
    )


def compare_input():
    return io.Combo.Input(
        "compare",
        options=COMPARISONS,
        default=COMPARISONS[0],
        tooltip="patches: what is where. class token: what is in the image, wherever it is.",
    )


def shared(backbone, scorer):
    return backbone.shared(scorer["model"], scorer.get("preprocess") or PREPROCESS[0])


class UnaryScorer(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        likeness = io.DynamicCombo.Input("by", options=[
            io.DynamicCombo.Option("dinov2", [model_input(Dinov2), compare_input()]),
            io.DynamicCombo.Option("clip", [model_input(Clip)]),
            io.DynamicCombo.Option("siglip", [model_input(Siglip)]),
            io.DynamicCombo.Option("clip_vision", [io.ClipVision.Input("clip_vision", tooltip="A CLIP vision model that you have for other nodes.")]),
        ], tooltip="What sees the likeness.")  # fmt: skip
        return io.Schema(
            node_id="UnaryScorer",
            display_name="Quality Scorer (unary)",
            category=CATEGORY,
            description="How good one image is. Connect it to a group sampler or to QIP Selector, or combine several.",
            search_aliases=["group inference", "unary scorer", "quality", "clip score", "reward", "aesthetic", "pickscore", "hps"],
            inputs=[
                io.DynamicCombo.Input("scorer", options=[
                    io.DynamicCombo.Option("clip", [model_input(Clip), text_input(), preprocess_input()]),
                    io.DynamicCombo.Option("siglip", [model_input(Siglip), text_input()]),
                    io.DynamicCombo.Option("pickscore", [model_input(Clip, "PickScore_v1"), text_input(), preprocess_input("reference")]),
                    io.DynamicCombo.Option("hpsv2", [model_input(OpenClip, "hps-v2.1"), text_input()]),
                    io.DynamicCombo.Option("aesthetic", [model_input(Clip, "clip-vit-large-patch14"), preprocess_input("reference")]),
                    io.DynamicCombo.Option("clip_iqa", [model_input(Clip), preprocess_input("reference")]),
                    io.DynamicCombo.Option("reference", [io.Image.Input("image", tooltip="The picture that results should be like."), likeness]),
                    io.DynamicCombo.Option("cfg_agreement", []),
                    io.DynamicCombo.Option("vlm", [
                        io.Clip.Input("clip", tooltip="A vision language model that CLIPLoader has loaded and that can write, such as Qwen3-VL."),
                        io.String.Input("question", multiline=True, default="How good is this picture? Answer with one number from 0 to 10.", tooltip="The first number in the answer is the score."),
                    ]),
                ], tooltip="clip, siglip: how well image and text agree, -1 to 1. pickscore, hpsv2: the same as people prefer it. aesthetic: about 1 to 10. clip_iqa: a good photo rather than a bad one, 0 to 1. reference: like a picture, -1 to 1. cfg_agreement: how much the prompt has changed it so far, needs no model. vlm: a question to a vision language model."),
            ],
            outputs=[GroupUnary.Output(display_name="unary")],
        )  # fmt: skip

    @classmethod
    def execute(cls, scorer) -> io.NodeOutput:
        kind = scorer["scorer"]
        text = check_text("text", scorer["text"]) if "text" in scorer else ""
        match kind:
            case "clip" | "siglip":
                made = TextImage(shared(BACKBONES[kind], scorer), text)
            case "pickscore":
                made = TextImage(shared(Clip, scorer), text, scaled=True)
            case "hpsv2":
                made = TextImage(shared(OpenClip, scorer), text)
            case "aesthetic":
                made = Aesthetic(shared(Clip, scorer))
            case "clip_iqa":
                made = ClipIqa(shared(Clip, scorer))
            case "reference":
                by = scorer["by"]
                backbone = HostVision(by["clip_vision"]) if by["by"] == "clip_vision" else shared(BACKBONES[by["by"]], by)
                made = Reference(backbone, scorer["image"], by.get("compare") == "patches")
            case "cfg_agreement":
                made = CfgAgreement()
            case "vlm":
                made = Vlm(scorer["clip"], check_text("question", scorer["question"]))
        return io.NodeOutput(made)


class PairwiseScorer(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="PairwiseScorer",
            display_name="Difference Scorer (pairwise)",
            category=CATEGORY,
            description="How different two images are. Connect it to a group sampler or to QIP Selector, or combine several.",
            search_aliases=["group inference", "pairwise scorer", "diversity", "difference", "distance", "similarity", "lpips", "ssim"],
            inputs=[
                io.DynamicCombo.Input("scorer", options=[
                    io.DynamicCombo.Option("dinov2", [model_input(Dinov2), compare_input(), preprocess_input()]),
                    io.DynamicCombo.Option("clip", [model_input(Clip), preprocess_input()]),
                    io.DynamicCombo.Option("color", [io.Combo.Input("space", options=list(CHANNELS), default="lab", tooltip="Colour space of the histograms.")]),
                    io.DynamicCombo.Option("latent", []),
                    io.DynamicCombo.Option("dinov3", [model_input(Dinov3), compare_input()]),
                    io.DynamicCombo.Option("siglip", [model_input(Siglip)]),
                    io.DynamicCombo.Option("structure", [io.Combo.Input("compare", options=["edges", "ssim"], default="edges", tooltip="edges: where contours are. ssim: light and dark, place by place.")]),
                    io.DynamicCombo.Option("lpips", []),
                    io.DynamicCombo.Option("text_axis", [
                        model_input(Clip),
                        io.String.Input("axes", default="lighting, day / night", tooltip="What shall vary, separated by commas: a thing (lighting, age, style), or its poles with slashes between. Each counts the same."),
                        preprocess_input("reference"),
                    ]),
                    io.DynamicCombo.Option("clip_vision", [io.ClipVision.Input("clip_vision", tooltip="A CLIP vision model that you have for other nodes.")]),
                    io.DynamicCombo.Option("motion", [model_input(Dinov2)]),
                ], tooltip="dinov2, dinov3: layout and content. clip, siglip, clip_vision: meaning. color: colours whatever the layout. latent: the latents themselves, needs no model and no decoding. structure: composition whatever the colours. lpips: how different they look. text_axis: what you name. motion: how videos move."),
            ],
            outputs=[GroupPairwise.Output(display_name="pairwise")],
        )  # fmt: skip

    @classmethod
    def execute(cls, scorer) -> io.NodeOutput:
        kind = scorer["scorer"]
        match kind:
            case "dinov2" | "dinov3":
                compare = PatchDistance if scorer["compare"] == "patches" else EmbeddingDistance
                made = compare(shared(BACKBONES[kind], scorer))
            case "clip" | "siglip":
                made = EmbeddingDistance(shared(BACKBONES[kind], scorer))
            case "clip_vision":
                made = EmbeddingDistance(HostVision(scorer["clip_vision"]))
            case "text_axis":
                axes = check_text("axes", scorer["axes"])
                made = TextAxis(shared(Clip, scorer), axes)
            case "color":
                made = ColorHistogram(scorer["space"])
            case "structure":
                made = Edges() if scorer["compare"] == "edges" else Ssim()
            case "latent":
                made = LatentDistance()
            case "lpips":
                made = Lpips()
            case "motion":
                made = Motion(shared(Dinov2, scorer))
        return io.NodeOutput(made)
