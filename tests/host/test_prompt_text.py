"""The prompt of a sampler or a picture, found in graphs as the host runs them."""

import nodes
import pytest
from comfy_extras.nodes_flux import CLIPTextEncodeFlux, FluxGuidance
from group_inference.sampling.prompt_text import prompt_text, text_upstream


@pytest.fixture(autouse=True)
def extra_nodes(monkeypatch):
    for node in (CLIPTextEncodeFlux, FluxGuidance):
        monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, node.__name__, node)


def encoder(text):
    return {"class_type": "CLIPTextEncode", "inputs": {"text": text, "clip": ["clip", 0]}}


def sampler(positive, **more):
    inputs = {"model": ["model", 0], "positive": positive, "negative": ["negative", 0], "latent_image": ["latent", 0], **more}
    return {"class_type": "KSampler", "inputs": inputs}


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


PROMPT = {"negative": encoder("ugly"), "a": encoder("a fox"), "b": encoder("in snow")}
GRAPHS = {
    "an encoder": ({"s": sampler(["a", 0])}, "a fox"),
    "weights and brackets": ({"a": encoder(r"a (red:1.3) ((fox)) \(animal\)"), "s": sampler(["a", 0])}, "a red fox (animal)"),
    "a text from another node": ({"t": node("Text", value="a hare"), "a": encoder(["t", 0]), "s": sampler(["a", 0])}, "a hare"),
    "two prompts": ({"c": node("ConditioningCombine", conditioning_1=["a", 0], conditioning_2=["b", 0]), "s": sampler(["c", 0])}, "a fox, in snow"),
    "a control": ({"c": node("ControlNetApplyAdvanced", positive=["a", 0], negative=["negative", 0], image=["x", 0]), "s": sampler(["c", 0])}, "a fox"),
    "two texts of one encoder": (
        {"f": node("CLIPTextEncodeFlux", clip=["clip", 0], clip_l="fox", t5xxl="a fox in snow", guidance=3.5), "g": node("FluxGuidance", conditioning=["f", 0], guidance=3.0), "s": sampler(["g", 0])},
        "a fox in snow",
    ),
    "a switch": ({"w": node("Switch of another pack", one=["a", 0], two=["a", 0]), "s": sampler(["w", 0])}, "a fox"),
    "a picture": ({"k": sampler(["a", 0]), "d": node("VAEDecode", samples=["k", 0], vae=["vae", 0]), "s": node("QIPSelector", image=["d", 0])}, "a fox"),
    "a picture, scaled by a linked choice": (
        {"k": sampler(["a", 0]), "d": node("VAEDecode", samples=["k", 0], vae=["vae", 0]), "i": node("ImageScale", image=["d", 0], upscale_method=["way", 0]), "s": node("QIPSelector", image=["i", 0])},
        "a fox",
    ),
    "only a negative one": ({"s": node("KSampler", negative=["negative", 0])}, ""),
    "a loop": ({"w": node("Reroute", a=["s", 0]), "s": sampler(["w", 0])}, ""),
    "several prompts, of which none is that of all": (
        {"g": node("GroupPrompts", clip=["clip", 0], text="a fox\n{an|one} owl"), "k": sampler(["g", 0]), "d": node("VAEDecode", samples=["k", 0], vae=["vae", 0]), "s": node("QIPSelector", image=["d", 0])},
        "",
    ),
    "nothing": ({"s": sampler(["gone", 0])}, ""),
}  # fmt: skip


@pytest.mark.parametrize(("graph", "text"), GRAPHS.values(), ids=GRAPHS)
def test_the_positive_prompt_is_found(graph, text):
    assert text_upstream({**PROMPT, **graph}, "s") == text


def test_odd_declarations_of_other_packs_are_passed_over(monkeypatch):
    odd = type(
        "Odd", (), {"INPUT_TYPES": classmethod(lambda cls: {"required": {"a": (), "b": None, "text": ("STRING",), "c": ("CONDITIONING",)}})}
    )
    monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, "Odd", odd)
    assert text_upstream({**PROMPT, "o": node("Odd", a=["b", 0], b=1, c=["a", 0]), "s": sampler(["o", 0])}, "s") == "a fox"


def test_outside_a_server_there_is_none():
    assert prompt_text() == ""
