import math

import pytest
from group_inference.sampling.plan import MOST_CANDIDATES, Look, Plan, budget_plan, paper_plan
from group_inference.scorers import reliability
from hypothesis import given, settings
from hypothesis import strategies as st


def survivors(plan):
    """How many are left after each step."""
    return [plan.after(step) for step in range(plan.steps)]


def looks(plan):
    return [(look.step, look.keep) for look in plan.looks]


def test_the_papers_example_costs_184_rows():
    plan = paper_plan(64, 4, 20, 0.5)
    assert plan.rows() == 184 and plan.looked() == 120 and looks(plan) == [(0, 32), (1, 16), (2, 8), (3, 4)]


@pytest.mark.parametrize(("start", "ratio", "expected"), [(128, 0.5, [64, 32, 16, 8, 4, 4]), (64, 0.9, [7, 4, 4]), (5, 0.0, [5, 5, 4])])
def test_survivors_of_the_papers_settings(start, ratio, expected):
    assert survivors(paper_plan(start, 4, len(expected), ratio)) == expected


def test_nothing_is_removed_before_start_percent():
    assert survivors(paper_plan(16, 4, 20, 0.5, start_percent=0.3))[:8] == [16] * 5 + [8, 4, 4]


def test_scorers_that_begin_later_are_waited_for():
    assert looks(paper_plan(64, 4, 20, 0.5, first=0, last=8)) == [(0, 32), (1, 16), (2, 8), (8, 4)]
    assert looks(paper_plan(64, 4, 20, 0.5, first=2, last=2)) == [(2, 32), (3, 16), (4, 8), (5, 4)]
    assert looks(paper_plan(6, 4, 20, 0.5, first=0, last=8)) == [(8, 4)]  # fewer than twice the group from the start
    assert looks(paper_plan(16, 4, 4, 0.5, first=0, last=9)) == [(0, 8), (3, 4)]  # asked at the last step at the latest


def test_a_sampler_may_skip_steps_or_take_more():
    plan = Plan(8, 2, 4, (Look(1, 4, scored=False), Look(3, 2)), price=0.5)
    assert [plan.after(step) for step in (0, 1, 2, 3, 9)] == [8, 4, 4, 2, 2] and plan.rows() == 8 * 2 + 4 * 2
    assert [plan.scored(step) for step in (1, 2, 3, 9)] == [False, False, True, True]
    assert [plan.work(steps) for steps in (1, 2, 3, 4, 9)] == [8, 16, 20, 26, 26] and plan.cost == 26 / 8
    assert Plan(3, 3, 5, ()).rows() == 15 and Plan(3, 3, 5, ()).cost == 1


@given(
    st.integers(1, 300), st.integers(1, 300), st.floats(0, 1), st.floats(0, 1), st.integers(1, 60), st.integers(0, 60), st.integers(0, 60)
)
def test_it_never_grows_and_ends_with_k(start, end, ratio, percent, steps, first, later):
    if end > start:
        with pytest.raises(ValueError, match="output_group_size"):
            paper_plan(start, end, steps, ratio, percent)
        return
    plan, alive, rows = paper_plan(start, end, steps, ratio, percent, first, first + later), start, 0
    for step, after in enumerate(survivors(plan)):
        rows += alive
        assert end <= after <= alive
        if step < steps - 1 and (step < first or (step + 1) / steps < percent - 1e-6):
            assert after == alive
        elif step < min(first + later, steps - 1):
            assert after == min(alive, max(2 * end, math.ceil(alive * (1 - ratio) - 1e-9)))
        elif step < steps - 1:
            assert after == min(alive, max(end, math.ceil(alive * (1 - ratio) - 1e-9)))
        alive = after
    assert alive == end and rows == plan.rows()


@pytest.mark.parametrize("arguments", [(4, 0, 5, 0.5), (4, 2, 5, 1.5), (4, 2, 5, -0.1), (4, 2, 5, 0.5, 1.2)])
def test_values_out_of_range_are_named(arguments):
    with pytest.raises(ValueError, match="output_group_size|pruning_ratio|start_percent"):
        paper_plan(*arguments)


def known(gone, quality=0.3):
    """What looks by latents and by scores know, for one scorer of each kind; quality: share of the unary one, which judges words."""
    place, words, latents = ([reliability.along(c, g) for g in gone] for c in (reliability.PLACES, reliability.WORDS, reliability.LATENTS))
    by_scores = tuple(quality * w + (1 - quality) * p for w, p in zip(words, place, strict=True))
    return tuple((1 - quality) * x for x in latents), by_scores


def evenly(steps, begin=0.0):
    """As noise_gone of a run that begins where this share of the noise is gone."""
    own = [(i + 1) / steps for i in range(steps)]
    return [*((begin + (1 - begin) * share + share) / 2 for share in own[:-1]), 1.0]


def trusted(steps, begin=0.0):
    return next(i for i, gone in enumerate(evenly(steps, begin)) if reliability.along(reliability.WORDS, gone) >= reliability.TRUSTED)


def tried(steps, begin=0.0):
    """As Schedule.plan says it: (steps after which looks are tried, the first after which the last of the scorers is trusted)."""
    gone, last = evenly(steps, begin), trusted(steps, begin)
    return tuple(sorted({last, *(next(i for i, now in enumerate(gone) if now >= mark) for mark in reliability.GONE)})), last


def in_short(plan):
    """'47, 1: 24 latents, 3: 12 latents, 6: 4 scores'"""
    return ", ".join([str(plan.start), *(f"{s + 1}: {n} {'scores' if scored else 'latents'}" for s, n, scored in plan.looks)])


SDXL, FLUX, GARDEN = 0.6, 0.1, 5.6


@pytest.mark.parametrize(
    ("steps", "begin", "price", "budget", "expected"),
    [
        (20, 0, SDXL, 2.4, "44, 1: 16 latents, 3: 12 latents, 8: 4 scores"),
        (20, 0, FLUX, 2.4, "45, 1: 16 latents, 5: 8 scores, 10: 4 scores"),
        (20, 0, GARDEN, 2.4, "35, 1: 16 latents, 3: 8 latents, 6: 4 scores"),
        (20, 0, SDXL, 1.5, "19, 1: 8 latents, 6: 4 scores"),
        (20, 0, SDXL, 1.2, "6, 6: 4 scores"),
        (20, 0, SDXL, 6.0, "133, 1: 32 latents, 8: 12 scores, 14: 4 scores"),
        (50, 0, SDXL, 2.4, "44, 3: 16 latents, 10: 8 scores, 25: 4 scores"),
        (8, 0, SDXL, 2.4, "32, 1: 8 latents, 4: 4 scores"),
        (4, 0, SDXL, 2.4, "17, 1: 8 latents, 2: 4 scores"),
        (4, 0, GARDEN, 2.9, "5, 2: 4 scores"),
        (2, 0, SDXL, 2.4, "9, 1: 4 scores"),
        (1, 0, SDXL, 2.4, "6, 1: 4 scores"),
        (10, 0.5, SDXL, 2.4, "37, 1: 4 scores"),
        (15, 0.25, SDXL, 2.4, "67, 1: 8 latents, 5: 4 scores"),
    ],
)  # fmt: skip
def test_plans_as_users_would_read_them(steps, begin, price, budget, expected):
    plan = budget_plan(4, budget, *known(evenly(steps, begin)), price, tried(steps, begin))
    assert in_short(plan) == expected and plan.cost <= budget


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40), st.floats(1.0, 12), st.integers(1, 60), st.floats(0, 0.9), st.floats(0, 8), st.floats(0, 1),
    st.floats(0, 1), st.one_of(st.none(), st.integers(1, 80)),
)  # fmt: skip
def test_a_budget_is_kept_to_a_candidate_and_a_larger_one_learns_more(end, budget, steps, begin, price, quality, late, start):
    by_latents, by_scores = known(evenly(steps, begin), quality)
    last = round(late * (steps - 1))
    when = tuple(sorted({0, last, steps - 1, steps // 2, steps // 4})), last
    if start is not None and start < end:
        with pytest.raises(ValueError, match="output_group_size"):
            budget_plan(end, budget, by_latents, by_scores, price, when, start)
        return
    try:
        plan = budget_plan(end, budget, by_latents, by_scores, price, when, start)
    except ValueError as e:
        least = float(str(e).rsplit(" ", 1)[1].rstrip("."))
        assert least > budget and budget_plan(end, least, by_latents, by_scores, price, when, start).looks
        return
    assert plan.end == end and plan.steps == steps
    if start is not None:
        assert plan.start == start
    if plan.start == end:
        assert start == end and not plan.looks
        return
    alive = [plan.start, *(n for _, n, _ in plan.looks)]
    assert all(a > b for a, b in zip(alive, alive[1:], strict=False)) and alive[-1] == end and plan.looks[-1].scored
    assert [s for s, _, _ in plan.looks] == sorted({s for s, _, _ in plan.looks})
    assert plan.cost <= budget * (1 + 1e-9) and plan.looks[-1].step >= last
    if start is None and plan.start < MOST_CANDIDATES:
        first = plan.looks[0]
        one_more = Plan(plan.start + 1, end, steps, plan.looks, price)
        assert one_more.cost > budget * (1 - 1e-9) and one_more.work() - plan.work() <= first.step + 1 + price + 1e-9
    learned = lambda p: sum(
        (by_scores if look.scored else by_latents)[look.step] * math.log2(m / look.keep)
        for m, look in zip([p.start, *(look.keep for look in p.looks)], p.looks, strict=False)
    )
    assert learned(budget_plan(end, budget * 1.5, by_latents, by_scores, price, when, start)) >= learned(plan) - 1e-9


def test_without_a_pairwise_scorer_latents_say_nothing():
    words = [reliability.along(reliability.WORDS, g) for g in evenly(20)]
    plan = budget_plan(4, 2.4, (0.0,) * 20, tuple(words), FLUX, tried(20))
    assert all(look.scored for look in plan.looks) and plan.looks[-1].step >= 9


def test_a_plan_is_said_in_words():
    text = str(Plan(47, 4, 20, (Look(0, 24, False), Look(5, 4)), 0.5))
    assert text == (
        "47 candidates start; 24 go on after step 1 by their latents; 4 go on after step 6 by their scores. "
        "223 model rows and 24 looks, 2.94 times the work of 4 plain images."
    )
