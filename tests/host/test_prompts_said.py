"""Group Prompts: what users and scorers are told of them, and what is wrong with inputs."""

import json
from types import SimpleNamespace

import comfy.model_management
import pytest
import tiny
import torch
from group_inference.nodes.group_ksampler import GroupKSampler
from group_inference.nodes.group_prompts import GroupPrompts
from group_inference.sampling import run
from group_inference.sampling.prompt_text import words
from group_inference.sampling.variants import marked
from group_inference.scorers.latent import LatentDistance
from group_inference.scorers.pool import Pool
from group_inference.scorers.text_image import TextImage
from prompts import LINES, SEED, Words, grouped, line_of, stock_prompt


def ksampler(model, positive, negative=None, candidates=4, size=2, **more):
    with torch.inference_mode():
        return GroupKSampler.execute(
            model, SEED, 3, 4.0, "euler", "normal", positive, negative or tiny.text(2), tiny.empty_latent(model), 1.0, candidates, size, 0.5,
            **({"pairwise": LatentDistance()} | more),
        )  # fmt: skip


def test_a_stock_sampler_stops_instead_of_mixing(eps_model):
    latent, one = tiny.empty_latent(eps_model), grouped(Words(), LINES[:1])
    for prompts in ((grouped(Words(), LINES), tiny.text(2)), (tiny.text(1), grouped(Words(), LINES))):
        with pytest.raises(ValueError, match="one for each candidate, and here they would all be mixed: connect it to Group KSampler"):
            tiny.stock(eps_model, SEED, latent, *prompts)
    assert torch.equal(tiny.stock(eps_model, SEED, latent, one), tiny.stock(eps_model, SEED, latent, stock_prompt(Words(), LINES[0])))


def test_prompts_encoded_again_are_the_same():
    """For what remembers runs by their conditioning, objects by themselves: all but the tensors."""
    one, two = ([options for _, options in grouped(Words(), LINES)] for _ in range(2))
    assert all(a[key] == b[key] for a, b in zip(one, two, strict=True) for key in ("group_variant", "model_conds"))


def test_prompts_that_a_node_lost_are_missed(eps_model):
    kept = grouped(Words(), LINES)[:2]
    with pytest.raises(ValueError, match="Of the 3 prompts of Group Prompts 1 did not reach the sampler"):
        tiny.group(eps_model, SEED, tiny.empty_latent(eps_model), positive=kept)


def test_the_report_and_the_node_say_which_line(eps_model):
    lines = [*LINES[:2], "long " * 40]
    out = ksampler(eps_model, grouped(Words(), lines), candidates=6, size=2)
    report = json.loads(out.args[1])
    assert report["prompts"] == {"positive": {str(SEED + i): lines[i % 3].strip() for i in range(6)}}
    one, two = report["seeds"]
    said = out.ui["group_summary"][1]
    assert said.startswith(f'Positive: {one} "{line_of(lines, one)[:20].strip()}') and f'{two} "' in said and len(said) < 140
    assert report["settings"]["prompt"] == ""


def test_prompts_without_a_candidate_are_said(eps_model):
    out = ksampler(eps_model, grouped(Words(), LINES), grouped(Words(), [f"number {i}" for i in range(7)]))
    assert json.loads(out.args[1])["notes"] == [
        "The negative conditioning holds 7 prompts, of which 3 take no part, because only 4 candidates start: raise budget or starting_candidates."
    ]


class Told:
    """A unary scorer that keeps what it is told."""

    name, needs_images = "told", False

    def __init__(self):
        self.pools = []

    def score(self, pool):
        self.pools.append((pool.text, pool.texts))
        return pool.x0.flatten(1).mean(1)


def test_scorers_get_each_candidates_own_prompt(eps_model, monkeypatch):
    """Without weights, and with what all candidates have beside it, as it is found in the graph."""
    monkeypatch.setattr(run, "prompt_text", lambda: "in snow")
    told = Told()
    out = ksampler(eps_model, grouped(Words(), ["a (red:1.3) fox", r"an owl \(white\)"]), unary=told, pairwise=None)
    tried, *looks = told.pools
    assert tried == ("in snow", ["a red fox, in snow"] * 2)
    for (text, texts), seen in zip(looks, json.loads(out.args[1])["rounds"], strict=True):
        own = [["a red fox", "an owl (white)"][(seed - SEED) % 2] for seed in seen["seeds"]]
        assert text == "in snow" and texts == [f"{line}, in snow" for line in own]


@pytest.mark.parametrize(("inputs", "sentence"), [
    ({"clip": None}, "clip is a NoneType, not a CLIP: connect a loader that has a text encoder"),
    ({"clip": "a fox"}, "clip is a str, not a CLIP"),
    ({"text": None}, "text must be a text, but it is a NoneType"),
    ({"text": "a \ud83c"}, "text holds half a character at place 3"),
    ({"text": " \n"}, "The text has no line with a word in it"),
    ({"text": "a {red|blue"}, "Line 1 of the text opens a brace that it does not close"),
    ({"text": "{a|b}" * 13}, "stands for more than 4096 prompts"),
    ({"more": []}, "more is an empty conditioning"),
    ({"more": "a fox"}, "more is no CONDITIONING"),
    ({"more": [[torch.zeros(1)]]}, "more is no CONDITIONING"),
    ({"more": marked([tiny.text(1)] * 3, "abc")[:2]}, "Of the 3 prompts of Group Prompts 1 did not reach"),
    ({"text": "{a|b}" * 11, "more": marked([tiny.text(1)] * 2049, [""] * 2049)}, "more stands for 2049 prompts, but beside those of the text there may be only 2048"),
    ({"more": marked([tiny.text(1)] * 64, [""] * 64) + marked([tiny.text(1)] * 65, [""] * 65)}, "more stands for 4160 prompts"),
])  # fmt: skip
def test_wrong_inputs_are_one_sentence_before_anything_is_encoded(inputs, sentence, monkeypatch):
    monkeypatch.setattr(Words, "encode_from_tokens_scheduled", None)
    with pytest.raises(ValueError, match=sentence) as error:
        GroupPrompts.execute(**{"clip": Words(), "text": "a fox", "more": None, **inputs})
    assert "\n" not in str(error.value)


def test_an_empty_prompt_has_nothing_to_be_compared_with():
    told = [words(text) for text in ("a fox", "")]
    with pytest.raises(ValueError, match="compares images with a text, and one of the prompts is empty: fill in its text input"):
        TextImage(SimpleNamespace(model_type="clip"), "").score(Pool(torch.zeros(2, 8, 8, 3), texts=told))


def test_interruption_while_encoding(monkeypatch):
    monkeypatch.setattr(Words, "tokenize", lambda self, text: comfy.model_management.interrupt_current_processing() or text)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        GroupPrompts.execute(Words(), "\n".join(LINES))
