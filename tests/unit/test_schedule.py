import math

import pytest
from group_inference.sampling.schedule import Schedule
from hypothesis import given
from hypothesis import strategies as st


def rows(schedule, steps):
    alive, total = schedule.start, 0
    for step in range(steps):
        total += alive
        alive = schedule.survivors(alive, step, steps)
    return total, alive


def test_the_papers_example_costs_184_rows():
    assert rows(Schedule(64, 4, 0.5), 20) == (184, 4)


@pytest.mark.parametrize(("start", "ratio", "expected"), [(128, 0.5, [64, 32, 16, 8, 4, 4]), (64, 0.9, [7, 4, 4]), (5, 0.0, [5, 5, 4])])
def test_survivors_of_the_papers_settings(start, ratio, expected):
    schedule, alive, got = Schedule(start, 4, ratio), start, []
    for step in range(len(expected)):
        alive = schedule.survivors(alive, step, len(expected))
        got.append(alive)
    assert got == expected


def test_nothing_is_removed_before_start_percent():
    schedule = Schedule(16, 4, 0.5, start_percent=0.3)
    assert [schedule.survivors(16, step, 20) for step in range(8)] == [16] * 5 + [8] * 3


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0, 1), st.floats(0, 1), st.integers(1, 60))
def test_it_never_grows_and_ends_with_k(start, end, ratio, percent, steps):
    if end > start:
        with pytest.raises(ValueError, match="output_group_size"):
            Schedule(start, end, ratio, percent)
        return
    schedule, alive = Schedule(start, end, ratio, percent), start
    for step in range(steps):
        after = schedule.survivors(alive, step, steps)
        assert end <= after <= alive
        if (step + 1) / steps > percent and step < steps - 1:
            assert after == min(alive, max(end, math.ceil(alive * (1 - ratio) - 1e-9)))
        alive = after
    assert alive == end


@pytest.mark.parametrize("arguments", [(4, 0, 0.5), (4, 2, 1.5), (4, 2, -0.1), (4, 2, 0.5, 1.2)])
def test_values_out_of_range_are_named(arguments):
    with pytest.raises(ValueError, match="output_group_size|pruning_ratio|start_percent"):
        Schedule(*arguments)
