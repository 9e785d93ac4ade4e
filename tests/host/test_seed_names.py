"""Candidates by name, as users write them."""

import json

import pytest
from group_inference.sampling.seeds import Members, parse


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("", []),
        (" ,\n; ", []),
        ("3, 11, 40-47", [3, 11, *range(40, 48)]),
        ("11;3\n 3 , 3-3", [11, 3]),
        ("18446744073709551615", [2**64 - 1]),
        (json.dumps({"seeds": [5, 9], "settings": {"seed": 5}}), [5, 9]),
    ],
)
def test_texts_of_seeds(text, seeds):
    assert parse("seeds", text) == seeds


def test_rows_are_named_from_0_and_have_the_seeds_of_the_run():
    assert parse("pinned", "row 3, ROW 0-1", rows=4, first=10) == [13, 10, 11]
    assert parse("pinned", "row 1", rows=2, first=2**64 - 1) == [0]
    assert Members("12, row 0", "row 2").named(10, 4) == ([12, 10], [12], [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("3, x", "seeds holds 'x': write seeds and ranges"),
        ("-3", "seeds holds '-3'"),
        ("1.5", "seeds holds '1.5'"),
        ("9-3", "numbers must rise"),
        ("18446744073709551616", "go from 0 to 18446744073709551615"),
        ("0-4096", "more than 4096 seeds"),
        ("row 3", "the latent is one for all candidates: name them by their seeds"),
        ('{"no": "report"}', "write seeds and ranges"),
        ('{"seeds": 3}', "write seeds and ranges"),
    ],
)
def test_texts_that_name_nothing(text, says):
    with pytest.raises(ValueError, match=says):
        parse("seeds", text)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (Members(pinned="3", banned="2-4"), "The seed 3 is both pinned and banned"),
        (Members(seeds="3, 4", banned="4"), "The seed 4 is both in seeds and banned"),
        (Members(seeds="3, 4", pinned="5"), "The seed 5 is pinned, but seeds, .* does not name it"),
    ],
)
def test_contradictions_are_one_sentence(members, says):
    with pytest.raises(ValueError, match=says):
        members.named(0, 1)


def test_rows_that_are_not_there():
    with pytest.raises(ValueError, match="banned holds 'row 4', but numbers must rise, and go from 0 to 3 for rows"):
        Members(banned="row 4").named(10, 4)
    with pytest.raises(ValueError, match="pinned names the seed 14, but the 4 rows of the latent have the seeds 10 to 13"):
        Members(pinned="14").named(10, 4)
