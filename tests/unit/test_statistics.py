"""Figures of the benches: intervals that hold the truth about as often as they say, and tables that line up."""

import numpy as np
import pytest

from devtools.statistics import cell, interval, machine, plot, table, vendi


def test_intervals_hold_the_mean_nineteen_times_in_twenty():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        mean, low, high = interval(rng.normal(3, 1, 40))
        held += low <= 3 <= high
        assert low < mean < high
    assert 87 <= held <= 100


def test_intervals_of_what_does_not_vary_have_no_width():
    assert interval([0.5] * 8) == (0.5, 0.5, 0.5)
    assert interval([2.0])[0] == 2 and np.isnan(interval([2.0])[1:]).all()
    assert interval([1.0, np.nan, 1.0]) == (1.0, 1.0, 1.0) and np.isnan(interval([])[0])


def test_the_vendi_score_counts_different_pictures():
    assert vendi(1 - np.eye(4)) == pytest.approx(4) and vendi(np.zeros((4, 4))) == pytest.approx(1)
    twins = np.kron(1 - np.eye(2), np.ones((2, 2)))
    assert vendi(twins) == pytest.approx(2)


def test_a_table_lines_up():
    text = table(
        ("", "one", "two"), [("first", cell((0.5, 0.25, 0.75), 2), "7"), ("the second", "1", cell((0.1, 0.0, 0.2), 1, "+"))], "Title"
    )
    assert text.splitlines()[0] == "Title" and len({len(line) for line in text.splitlines()[1:]}) == 1
    assert "0.50 ±0.25" in text and "+0.1 ±0.1" in text


def test_a_plot_takes_numbers_and_intervals(tmp_path):
    points = {"a": [(1, (2.0, 1.0, 4.0), "1"), ((2.0, 1.5, 2.5), 3, "2")]}
    plot(tmp_path / "plot.png", [("", "x log", "y", points), ("", "x", "y", points), ("", "x", "y", points)], "notes")
    assert (tmp_path / "plot.png").stat().st_size > 5000


def test_the_machine_is_named_with_versions_and_without_paths():
    found = machine()
    assert found["torch"] and found["cores"] and not any("/" in str(value) for value in found.values())
