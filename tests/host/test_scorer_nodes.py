"""Every choice that the scorer nodes offer makes the scorer of that name, on tiny models in a folder as the pack registers it."""

import asyncio

import backbones
import folder_paths
import group_inference
import pytest
import torch
from comfy_api.latest import _io, io
from group_inference.nodes.scorers import PairwiseScorer, UnaryScorer
from group_inference.scorers.aesthetic import Aesthetic
from group_inference.scorers.cfg_agreement import CfgAgreement
from group_inference.scorers.clip import Clip, Siglip
from group_inference.scorers.color import ColorHistogram
from group_inference.scorers.dinov2 import Dinov2, Dinov3, PatchDistance
from group_inference.scorers.embedding import EmbeddingDistance, HostVision, Reference
from group_inference.scorers.latent import LatentDistance
from group_inference.scorers.lpips import Lpips
from group_inference.scorers.motion import Motion
from group_inference.scorers.open_clip import OpenClip
from group_inference.scorers.pool import Pool
from group_inference.scorers.structure import Edges, Ssim
from group_inference.scorers.text_image import ClipIqa, TextAxis, TextImage
from group_inference.scorers.vlm import Vlm
from group_inference.scorers.weights import FOLDER

TEXT, AXES, QUESTION = "a red rose", "lighting, day / night", "How bright is it?"
clip = lambda preprocess="model": Clip.shared("wide-clip", preprocess)
siglip = lambda: Siglip.shared("tiny-siglip")
dinov2 = lambda preprocess="model": Dinov2.shared("tiny-dinov2", preprocess)
dinov3 = lambda: Dinov3.shared("tiny-dinov3")
# What each choice stands for; the definitions themselves are tested in tests/unit. given: what the node's sockets get.
UNARY = {
    "clip model": lambda given: TextImage(clip(), TEXT),
    "clip reference": lambda given: TextImage(clip("reference"), TEXT),
    "clip crop": lambda given: TextImage(clip("crop"), TEXT),
    "siglip": lambda given: TextImage(siglip(), TEXT),
    "pickscore model": lambda given: TextImage(clip(), TEXT, scaled=True),
    "pickscore crop": lambda given: TextImage(clip("crop"), TEXT, scaled=True),
    "hpsv2": lambda given: TextImage(OpenClip.shared("tiny-hps"), TEXT),
    "aesthetic model": lambda given: Aesthetic(clip()),
    "aesthetic crop": lambda given: Aesthetic(clip("crop")),
    "clip_iqa model": lambda given: ClipIqa(clip()),
    "clip_iqa crop": lambda given: ClipIqa(clip("crop")),
    "reference dinov2 patches": lambda given: Reference(dinov2(), given["image"], by_place=True),
    "reference dinov2 class token": lambda given: Reference(dinov2(), given["image"]),
    "reference clip": lambda given: Reference(clip(), given["image"]),
    "reference siglip": lambda given: Reference(siglip(), given["image"]),
    "reference clip_vision": lambda given: Reference(HostVision(given["clip_vision"]), given["image"]),
    "cfg_agreement": lambda given: CfgAgreement(),
    "vlm": lambda given: Vlm(given["clip"], QUESTION),
}
PAIRWISE = {
    "dinov2 patches model": lambda given: PatchDistance(dinov2()),
    "dinov2 patches reference": lambda given: PatchDistance(dinov2("reference")),
    "dinov2 patches crop": lambda given: PatchDistance(dinov2("crop")),
    "dinov2 class token model": lambda given: EmbeddingDistance(dinov2()),
    "dinov2 class token reference": lambda given: EmbeddingDistance(dinov2("reference")),
    "dinov2 class token crop": lambda given: EmbeddingDistance(dinov2("crop")),
    "clip model": lambda given: EmbeddingDistance(clip()),
    "clip reference": lambda given: EmbeddingDistance(clip("reference")),
    "clip crop": lambda given: EmbeddingDistance(clip("crop")),
    "color rgb": lambda given: ColorHistogram("rgb"),
    "color lab": lambda given: ColorHistogram("lab"),
    "color hsv": lambda given: ColorHistogram("hsv"),
    "latent": lambda given: LatentDistance(),
    "dinov3 patches": lambda given: PatchDistance(dinov3()),
    "dinov3 class token": lambda given: EmbeddingDistance(dinov3()),
    "siglip": lambda given: EmbeddingDistance(siglip()),
    "structure edges": lambda given: Edges(),
    "structure ssim": lambda given: Ssim(),
    "lpips": lambda given: Lpips(),
    "text_axis model": lambda given: TextAxis(clip(), AXES),
    "text_axis crop": lambda given: TextAxis(clip("crop"), AXES),
    "clip_vision": lambda given: EmbeddingDistance(HostVision(given["clip_vision"])),
    "motion": lambda given: Motion(dinov2()),
}
NODES = {UnaryScorer: (UNARY, (3,)), PairwiseScorer: (PAIRWISE, (3, 3))}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What the inputs get that are no choice, by name, of `model` what is installed meanwhile."""
    models = tmp_path_factory.mktemp("models")
    (models / FOLDER).mkdir()
    backbones.folders(models / FOLDER)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(folder_paths, "models_dir", str(models))
        patched.delitem(folder_paths.folder_names_and_paths, FOLDER, raising=False)
        patched.setattr(Clip, "reference_size", (32, 32))  # the tiny model's; the real one's is 224
        asyncio.run(asyncio.run(group_inference.comfy_entrypoint()).on_load())
        yield {
            "model": [folder.name for folder in (models / FOLDER).iterdir()],
            "text": TEXT,
            "axes": AXES,
            "question": QUESTION,
            "image": pictures(1, 5),
            "clip": backbones.Talker(lambda mean: f"{mean:.3f}"),
            "clip_vision": backbones.clip_vision(tmp_path_factory.mktemp("vision")),
        }


def pictures(count, seed):
    coarse = torch.rand(count, 3, 5, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(40, 28), mode="bilinear").movedim(1, -1)


def scores_of(scorer):
    """Of the same three candidates each time: pictures, or videos for a scorer over frames."""
    latents = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    images = pictures(9, 1).unflatten(0, (3, 3)) if getattr(scorer, "over_frames", False) else pictures(3, 1)
    return scorer.score(Pool(images, latents, guidance=torch.tensor([0.5, 0.1, 0.9])))


def choices(inputs, given, prefix=""):
    """{words: inputs as a workflow has them} of everything that can be chosen among a schema's inputs."""
    found = {"": {}}
    for one in inputs:
        name = prefix + one.id
        if isinstance(one, io.DynamicCombo.Input):
            options = {
                f"{option.key} {words}".strip(): {name: option.key, **chosen}
                for option in one.options
                for words, chosen in choices(option.inputs, given, f"{name}.").items()
            }
        elif one.id == "model":
            options = {"": {name: next(folder for folder in one.options if folder in given["model"])}}
        elif isinstance(one, io.Combo.Input):
            options = {value: {name: value} for value in one.options}
        else:
            options = {"": {name: given[one.id]}}
        found = {f"{a} {b}".strip(): {**x, **y} for a, x in found.items() for b, y in options.items()}
    return found


def made(node, chosen):
    """What the node gives for these inputs, handed over as the host does it."""
    _, _, paths = _io.get_finalized_class_inputs(node.INPUT_TYPES(), chosen)
    return node.execute(**_io.build_nested_inputs(chosen, paths)).args[0]


@pytest.mark.parametrize("node", NODES)
def test_every_choice_has_a_case_here(node, given):
    assert set(choices(node.GET_SCHEMA().inputs, given)) == set(NODES[node][0])


@pytest.mark.parametrize(("node", "words"), [(node, words) for node, (cases, _) in NODES.items() for words in cases])
def test_a_choice_makes_the_scorer_of_that_name(node, words, given):
    cases, shape = NODES[node]
    found, expected = made(node, choices(node.GET_SCHEMA().inputs, given)[words]), cases[words](given)
    settings = lambda scorer: {name: value for name, value in vars(scorer).items() if isinstance(value, str | bool)}
    assert type(found) is type(expected) and found.name == expected.name and settings(found) == settings(expected)
    scores = scores_of(found)
    assert tuple(scores.shape) == shape and torch.isfinite(scores).all()
    assert torch.allclose(scores, scores_of(expected), atol=1e-6)


def test_ways_to_prepare_pictures_are_only_appended():
    """Saved workflows hold them by their names, and inputs by their places."""
    options = {option.key: option.inputs for node in NODES for option in node.GET_SCHEMA().inputs[0].options}
    assert options["clip"][-1].options == options["dinov2"][-1].options == ["model", "reference", "crop"]
    assert all(inputs[-1].id == "preprocess" for inputs in options.values() if any(one.id == "preprocess" for one in inputs))


@pytest.mark.parametrize("node", NODES)
def test_no_two_choices_score_alike(node, given):
    scores = {words: scores_of(made(node, chosen)) for words, chosen in choices(node.GET_SCHEMA().inputs, given).items()}
    alike = [(a, b) for a in scores for b in scores if a < b and torch.allclose(scores[a], scores[b], atol=1e-5)]
    assert not alike
