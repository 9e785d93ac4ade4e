"""What a run says on its node."""

import numpy as np
import pytest
from group_inference.sampling.plan import Look, Plan
from group_inference.sampling.record import Round, Run
from group_inference.sampling.summary import summary

LAST = 2**64 - 1


def made(**more):
    """Two of four, chosen after step 3 of 8; one of the seeds is the largest that there is."""
    pairwise = np.array([[0, 0.5], [0.5, 0]])
    last = Round(
        2, 1.0, [LAST, 0, 1, 2], np.array([1.0, 2.0, 3.0, np.nan]), pairwise, [1, LAST], 1.0, 1.0, 0.0, "optimal", {}, mean_distance=0.25
    )
    settings = {"starting_candidates": 4, "steps": 8, "unary": "clip"}
    given = {"plan": Plan(4, 2, 8, (Look(2, 2),), 0.5), "seeds": [1, LAST], "rounds": [last], "model_rows": 22, "notes": ["A note."]}
    return Run(settings, **{**given, **more})


def test_five_lines_and_the_warnings_behind():
    assert summary(made(warnings=["Mind this."])) == [
        f"2 of 4 candidates, seeds 1, {LAST}.",
        "Difference 0.5 (0.25 among the last 4), clip 2 (2 among the last 4).",
        "22 model rows and 4 looks: 1.5 times the work of 2 plain images.",
        "Quality was looked at from step 3 of 8 on.",
        "A note.",
        "Mind this.",
    ]


def test_what_there_was_not_is_not_said():
    alone = made(rounds=[], notes=[], plan=Plan(2, 2, 8, ()), model_rows=16)
    assert summary(alone) == [f"2 of 4 candidates, seeds 1, {LAST}.", "16 model rows: 1.0 times the work of 2 plain images."]
    pictures = made(plan=None, notes=[])
    assert summary(pictures, "images", "numbers")[0] == f"2 of 4 images, numbers 1, {LAST}." and len(summary(pictures)) == 3


def test_prompts_of_their_own_are_shown_where_they_differ():
    texts = {LAST: "a photo of red tulips", 0: "a photo of roses", 1: "a photo of red tulips in a " + 9 * "large " + "vase"}
    said = summary(made(prompts={"positive": texts, "negative": dict.fromkeys(texts, "ugly")}))
    assert said[1:3] == [
        f'Positive: 1 "...red tulips in a large large large...", {LAST} "...red tulips".',
        f'Negative: 1 "ugly", {LAST} "ugly".',
    ]


@pytest.mark.parametrize(("count", "shown"), [(16, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15."), (17, "14, 15 and more.")])
def test_not_more_seeds_than_a_reader_takes(count, shown):
    assert summary(made(seeds=list(range(count))))[0].endswith(shown)


def test_rows_of_a_latent_are_called_rows_and_what_was_kept_is_said():
    settings = {"starting_candidates": 4, "steps": 8, "unary": "clip", "rows": 4, "seed": LAST}
    found = summary(Run(settings, seeds=[1, LAST], plan=Plan(4, 2, 8, (Look(2, 2),)), model_rows=6, known=3))
    assert found[0] == "2 of 4 candidates, rows (from 0) 2, 0."
    assert found[1] == "6 model rows were sampled: 3 of 4 candidates were kept from earlier runs."
