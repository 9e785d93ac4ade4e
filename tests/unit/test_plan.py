import math

import pytest
from group_inference.sampling.plan import Plan, paper_plan
from hypothesis import given
from hypothesis import strategies as st


def survivors(plan):
    """How many are left after each step."""
    return [plan.after(step) for step in range(plan.steps)]


def test_the_papers_example_costs_184_rows():
    plan = paper_plan(64, 4, 20, 0.5)
    assert plan.rows == 184 and plan.looks == ((0, 32), (1, 16), (2, 8), (3, 4))


@pytest.mark.parametrize(("start", "ratio", "expected"), [(128, 0.5, [64, 32, 16, 8, 4, 4]), (64, 0.9, [7, 4, 4]), (5, 0.0, [5, 5, 4])])
def test_survivors_of_the_papers_settings(start, ratio, expected):
    assert survivors(paper_plan(start, 4, len(expected), ratio)) == expected


def test_nothing_is_removed_before_start_percent():
    assert survivors(paper_plan(16, 4, 20, 0.5, start_percent=0.3))[:8] == [16] * 5 + [8, 4, 4]


def test_scorers_that_begin_later_are_waited_for():
    assert paper_plan(64, 4, 20, 0.5, first=0, last=8).looks == ((0, 32), (1, 16), (2, 8), (8, 4))
    assert paper_plan(64, 4, 20, 0.5, first=2, last=2).looks == ((2, 32), (3, 16), (4, 8), (5, 4))
    assert paper_plan(6, 4, 20, 0.5, first=0, last=8).looks == ((8, 4),)  # fewer than twice the group from the start
    assert paper_plan(16, 4, 4, 0.5, first=0, last=9).looks == ((0, 8), (3, 4))  # asked at the last step at the latest


def test_a_sampler_may_skip_steps_or_take_more():
    plan = Plan(8, 2, 4, ((1, 4), (3, 2)))
    assert [plan.after(step) for step in (0, 1, 2, 3, 9)] == [8, 4, 4, 2, 2] and plan.rows == 8 * 2 + 4 * 2
    assert Plan(3, 3, 5, ()).rows == 15


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
    assert alive == end and rows == plan.rows


@pytest.mark.parametrize("arguments", [(4, 0, 5, 0.5), (4, 2, 5, 1.5), (4, 2, 5, -0.1), (4, 2, 5, 0.5, 1.2)])
def test_values_out_of_range_are_named(arguments):
    with pytest.raises(ValueError, match="output_group_size|pruning_ratio|start_percent"):
        paper_plan(*arguments)
