"""A prompt for each candidate: a batch of prompts with a batch of latents, all through the host's nodes."""

import contract
import nodes
import pytest
import tiny


def prompts(at):
    ((texts, options),) = tiny.text(1, 4)
    return [[texts[at], {"pooled_output": options["pooled_output"][at]}]]


@pytest.mark.parametrize("model", ["flow", "eps"], indirect=True)
def test_as_many_results_as_prompts(model):
    latent = nodes.RepeatLatentBatch().repeat(tiny.empty_latent(model), 4)[0]
    got, report = tiny.group(model, 11, latent, candidates=2, size=4, positive=prompts(slice(None)))
    assert sorted(report["seeds"]) == [11, 12, 13, 14] and report["warnings"] == []
    for i, seed in enumerate(report["seeds"]):
        alone = tiny.stock(model, seed, tiny.empty_latent(model), prompts(slice(seed - 11, seed - 10)))
        assert tiny.relative_error(got["samples"][i : i + 1], alone) < contract.TOLERANCE


def test_one_latent_uses_one_prompt_and_says_so(flow_model):
    report = contract.assert_survivors_equal_stock(flow_model, tiny.empty_latent(flow_model), prompts(slice(None)))
    (warning,) = report["warnings"]
    assert "4 prompts but the latent has one row: every candidate uses the first" in warning and "Repeat Latent Batch" in warning
