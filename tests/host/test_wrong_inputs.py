"""What sockets of any type, lists and texts can bring: one sentence before any long work, or the result of what it shows."""

import json

import comfy.sd
import pytest
import tiny
import torch
from backbones import clip_vision
from comfy.sd1_clip import SD1ClipModel, SD1Tokenizer, SDClipModel
from comfy_api.latest import _io
from group_inference.garden.loader import load_garden
from group_inference.nodes.combine import CombinePairwiseScorers, CombineUnaryScorers, QualityFloorNode
from group_inference.nodes.different_from import DifferentFromNode
from group_inference.nodes.group_ksampler import GroupKSampler
from group_inference.nodes.group_sampler import GroupSamplerNode
from group_inference.nodes.qip_selector import QIPSelector
from group_inference.nodes.scorers import PairwiseScorer, UnaryScorer
from group_inference.sampling.preview import Previewer
from group_inference.scorers.color import ColorHistogram
from group_inference.scorers.combine import Combined, QualityFloor
from group_inference.scorers.latent import LatentDistance

HALF = "a rose \ud83c"


class Bright:
    name, needs_images = "bright", True

    def score(self, pool):
        return pool.images.mean((1, 2, 3))


class First(Bright):
    """Prefers low latents, needs no pictures."""

    name, needs_images = "first", False

    def score(self, pool):
        return -pool.x0.float().flatten(1).mean(1)


def ksampler(model=None, **scorers):
    with torch.inference_mode():
        return GroupKSampler.execute(
            model,
            1,
            4,
            1.0,
            "euler",
            "normal",
            tiny.text(1),
            tiny.text(2),
            tiny.empty_latent(model) if model else {},
            1.0,
            4,
            2,
            0.5,
            **scorers,
        )


def select(images, size=1, **inputs):
    inputs = {"unary": (Bright(),), **inputs}
    (chosen,), *others = QIPSelector.execute(images if isinstance(images, list) else [images], [size], [1.5], **inputs).args[:4]
    return chosen, *others


def grey(*levels, channels=3):
    return torch.stack([torch.full((8, 8, channels), float(v)) for v in levels])


def refused(sentence, function, *args, **kwargs):
    with pytest.raises(ValueError, match=sentence) as error:
        function(*args, **kwargs)
    assert "\n" not in str(error.value)
    str(error.value).encode()


@pytest.mark.parametrize(
    "thing", [{"samples": torch.zeros(1)}, "a rose", 3.5, torch.zeros(2), object()], ids=lambda thing: type(thing).__name__
)
@pytest.mark.parametrize("socket", ["unary", "pairwise"])
def test_what_is_no_scorer_is_refused_by_every_node(flow_model, socket, thing):
    sentence = f"input {socket} got a {type(thing).__name__}, which is no scorer"
    for wrong in (thing, Combined([(Bright(), 1.0), (thing, 1.0)])):
        refused(sentence, ksampler, flow_model, **{socket: wrong})
        refused(sentence, GroupSamplerNode.execute, None, 4, 2, 0.5, **{socket: wrong})
        refused(sentence, select, grey(0, 1), **{socket: (wrong,)})
    refused("input unary got a", QualityFloorNode.execute, thing, 0.5)
    refused("input pairwise got a", DifferentFromNode.execute, thing, grey(0))
    for node in (CombineUnaryScorers, CombinePairwiseScorers):
        refused("input scorers got a", node.execute, {"scorer0": Bright(), "scorer1": thing}, "1")


def test_difference_from_nothing_or_by_nothing_is_refused():
    refused("input pairwise got nothing to tell pictures apart by", DifferentFromNode.execute, None, grey(0))
    refused("neither pictures nor latents", DifferentFromNode.execute, LatentDistance())


def test_a_scorer_of_the_other_kind_is_refused_before_sampling(flow_model, monkeypatch):
    monkeypatch.setattr(flow_model.model, "apply_model", None)
    refused("input pairwise got the unary scorer first: connect it to the input unary", ksampler, flow_model, pairwise=First())
    refused("input unary got the pairwise scorer latent: connect it to the input pairwise", ksampler, flow_model, unary=LatentDistance())
    refused("input pairwise got the unary scorer bright", select, grey(0, 1), pairwise=(Bright(),))
    refused("input pairwise got the unary scorer bright", select, grey(0, 1), pairwise=(DifferentFromNode.execute(Bright(), grey(0))[0],))
    refused("input unary got the pairwise scorer color rgb", select, grey(0, 1), unary=(ColorHistogram("rgb"),))


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(weight):
    refused("scorer bright in the input unary has the weight", select, grey(0, 1), unary=(Combined([(Bright(), weight)]),))
    huge = Combined([(Combined([(Bright(), 1e200)]), 1e200)])
    refused("has the weight inf", select, grey(0, 1), unary=(huge,))


@pytest.mark.parametrize("text", [HALF, "1, \ud800", 3, None])
def test_weights_of_any_type_are_numbers_or_one_sentence(text):
    scorers = {"scorer0": Bright(), "scorer1": Bright()}
    if text == 3:
        assert [weight for _, weight in CombineUnaryScorers.execute(scorers, text).args[0].parts] == [3, 3]
    else:
        refused("weights must be one number or 2 numbers", CombineUnaryScorers.execute, scorers, text)


def test_more_scorers_than_a_node_combines_are_refused():
    def combined(count):
        """As the host does it, which hands over links beyond the last input by names of their own."""
        links = {"weights": "1", **{f"scorers.scorer{i}": Bright() for i in range(count)}}
        _, _, paths = _io.get_finalized_class_inputs(CombineUnaryScorers.INPUT_TYPES(), links)
        return CombineUnaryScorers.execute(**_io.build_nested_inputs(links, paths)).args[0]

    assert len(combined(16).parts) == 16
    refused("18 scorers are connected, but one node combines up to 16", combined, 18)


@pytest.mark.parametrize("text", [HALF, 3, None, ["a rose"]])
@pytest.mark.parametrize(("node", "chosen", "name"), [
    *((UnaryScorer, {"scorer": kind, "model": "any"}, "text") for kind in ("clip", "siglip", "pickscore", "hpsv2")),
    (UnaryScorer, {"scorer": "vlm", "clip": None}, "question"),
    (PairwiseScorer, {"scorer": "text_axis", "model": "any"}, "axes"),
])  # fmt: skip
def test_what_no_tokenizer_takes_is_refused(node, chosen, name, text):
    sentence = f"{name} holds half a character at place 8" if text == HALF else f"{name} must be a text, but it is a {type(text).__name__}"
    refused(sentence, node.execute, {**chosen, name: text})


class TinyClip(SD1ClipModel):
    """The host's CLIP text encoder at a tiny size."""

    def __init__(self, device="cpu", dtype=None, model_options={}):
        sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_act": "quick_gelu"}
        sizes |= {"max_position_embeddings": 77, "vocab_size": 49408, "eos_token_id": 49407}
        super().__init__(device, dtype, model_options, clip_model=SDClipModel, textmodel_json_config=sizes)


def tiny_clip():
    return comfy.sd.CLIP(type("Target", (), {"params": {}, "clip": TinyClip, "tokenizer": SD1Tokenizer})())


@pytest.mark.parametrize("clip", [tiny_clip, lambda: load_garden()[1], lambda: None, lambda: "a rose", object, lambda: load_garden()[2]])
def test_a_clip_that_cannot_write_is_refused_by_the_vlm_scorer(clip):
    chosen = {"scorer": "vlm", "clip": clip(), "question": "How good is it, from 0 to 10?"}
    refused(
        "needs a CLIP that can answer questions about images, such as Qwen3-VL, and its input clip, a .*, cannot",
        UnaryScorer.execute,
        chosen,
    )


@pytest.mark.parametrize("thing", ["a rose", 3, None, torch.zeros(1)], ids=lambda thing: type(thing).__name__)
def test_what_is_no_clip_vision_is_refused(thing):
    refused("input clip_vision got a", PairwiseScorer.execute, {"scorer": "clip_vision", "clip_vision": thing})
    likeness = {"scorer": "reference", "image": grey(0.5), "by": {"by": "clip_vision", "clip_vision": thing}}
    refused("input clip_vision got a", UnaryScorer.execute, likeness)


def test_what_is_no_picture_is_refused_as_reference(tmp_path):
    for wrong in ("a rose", None, {"samples": torch.zeros(1)}, torch.zeros(3), torch.zeros(0, 8, 8, 3)):
        likeness = {"scorer": "reference", "image": wrong, "by": {"by": "clip_vision", "clip_vision": clip_vision(tmp_path)}}
        refused("connect (an IMAGE|at least one picture)", UnaryScorer.execute, likeness)


@pytest.mark.parametrize("wrong", ["a rose", torch.zeros(3), torch.zeros(0, 8, 8, 3), grey(float("nan"))])
def test_what_is_no_picture_is_refused_to_be_different_from(wrong):
    refused("connect (an IMAGE|at least one picture|another picture)", DifferentFromNode.execute, ColorHistogram("rgb"), wrong)


@pytest.mark.parametrize(
    "wrong", ["a rose", {}, {"samples": None}, {"samples": torch.zeros(0, 4, 8, 8)}, {"samples": torch.full((1, 4), float("nan"))}]
)
def test_what_is_no_latent_is_refused_to_be_different_from(wrong):
    refused("connect (an empty latent|the latent of a picture)", DifferentFromNode.execute, LatentDistance(), None, wrong)


def test_what_is_no_vae_is_refused_before_sampling(flow_model, monkeypatch):
    monkeypatch.setattr(flow_model.model, "apply_model", None)
    for wrong in ("a rose", 3, torch.zeros(1), tiny_clip()):
        refused(f"input vae got a {type(wrong).__name__}, which decodes no latents", Previewer, flow_model, wrong)
    refused("input vae got a CLIP", ksampler, flow_model, unary=Bright(), vae=tiny_clip())


@pytest.mark.parametrize(("images", "sentence"), [
    ([], "connect the input image, or name a folder"), ([grey(0)[:0]], "no pixels"), (["a rose"], "here is a str: connect an IMAGE"),
    ([{"samples": torch.zeros(1)}], "here is a dict: connect an IMAGE"), ([torch.rand(2, 8, 8)], "here is a tensor of the shape"),
    ([None], "here is a NoneType"), ([torch.ones(2, 8, 8, 3, dtype=torch.int32)], "torch.int32, whose range is unknown"),
    ([torch.rand(1, 2, 8, 8, 3), torch.rand(1, 8, 8, 3)], "Videos of different sizes cannot be compared"),
])  # fmt: skip
def test_what_are_no_images_is_refused_by_the_selector(images, sentence):
    refused(sentence, select, images)


@pytest.mark.parametrize("latent", ["a rose", {}, {"samples": None}, {"samples": torch.tensor(1.0)}, torch.zeros(2, 4, 1, 1), None])
def test_what_is_no_latent_is_refused_by_the_selector(latent):
    refused("input latent got a .* without a batch of samples", select, grey(0, 1), latent=[latent])


def test_frames_beside_the_latents_of_their_videos_are_explained():
    refused("6 images but 2 latents: .* every frame is an image", select, grey(*range(6)), latent=[{"samples": torch.zeros(2, 4, 3, 1, 1)}])


@pytest.mark.parametrize("images", [
    grey(0.1, 0.9, 0.5, channels=1), grey(0.1, 0.9, 0.5, channels=4), grey(0.1, 0.9, 0.5).half(), grey(0.1, 0.9, 0.5).double(),
    (grey(0.1, 0.9, 0.5) * 255).to(torch.uint8), grey(-3, 7, 0.5), grey(0.1, 0.9, 0.5).unsqueeze(1).repeat(1, 3, 1, 1, 1),
], ids=["grey", "with alpha", "float16", "float64", "8 bits", "outside", "videos"])  # fmt: skip
def test_images_of_any_kind_are_scored_as_they_look_and_come_out_as_they_were(images):
    got, _, indices, report = select(images, 2)
    assert indices == [1, 2] and torch.equal(got, images[[1, 2]]) and got.dtype == images.dtype
    assert json.loads(report)["rounds"][0]["unary"] == pytest.approx([0, 1, 0.5] if images.min() < 0 else [0.1, 0.9, 0.5], abs=0.01)


def test_images_of_several_kinds_come_out_as_they_look():
    got, _, indices, _ = select([grey(0.1), grey(0.9, channels=1), grey(0.5, channels=4).half(), (grey(0.7) * 255).to(torch.uint8)], 3)
    assert indices == [1, 3, 2] and got.dtype == torch.float32 and got.mean((1, 2, 3)).tolist() == pytest.approx([0.9, 0.7, 0.5], abs=0.01)


@pytest.mark.parametrize("minimum", [float("nan"), float("inf"), None, "high"])
def test_a_floor_that_is_no_number_is_refused(minimum):
    refused("quality floor's minimum is (nan|inf|None|'high')", QualityFloorNode.execute, Bright(), minimum)


@pytest.mark.parametrize("count", [1, 2])
def test_a_floor_under_a_combination_is_refused(count):
    refused("floor belongs under one scorer", QualityFloorNode.execute, Combined([(Bright(), 1.0)] * count), 0.5)


def test_a_floor_under_nothing_is_refused():
    refused("unary got nothing to put a floor under", QualityFloorNode.execute, None, 0.5)


def test_a_floor_that_nobody_meets_is_said_with_the_best_score(flow_model, caplog):
    report = json.loads(select(grey(0.1, 0.6, 0.5), unary=(QualityFloor(Bright(), 0.8),))[3])
    assert (
        report["warnings"][0].startswith("Nobody meets the quality floor 0.8 of bright: the best score was 0.6")
        and "0.8 of bright" in caplog.text
    )
    assert not [w for w in json.loads(select(grey(0.1, 0.9), unary=(QualityFloor(Bright(), 0.8),))[3])["warnings"] if "Nobody" in w]
    report = json.loads(ksampler(flow_model, unary=QualityFloor(First(), 900.0))[1])
    assert len([w for w in report["warnings"] if "Nobody meets the quality floor 900 of first" in w]) == 1
