"""Lines to prompts: choices in braces, in reading order, and what is said of braces that do not match."""

import pytest
from group_inference.sampling.wildcards import expanded

MOST = 4096


@pytest.mark.parametrize(("text", "expected"), [
    ("a fox", ["a fox"]),
    ("a fox\n\n  \r\n an owl \n", ["a fox", "an owl"]),
    ("a {red|blue} fox", ["a red fox", "a blue fox"]),
    ("{a|b} {1|2|3}", ["a 1", "a 2", "a 3", "b 1", "b 2", "b 3"]),
    ("{a {red|blue} fox|an owl}, at {night|dawn}", ["a red fox, at night", "a red fox, at dawn", "a blue fox, at night", "a blue fox, at dawn", "an owl, at night", "an owl, at dawn"]),
    ("{{a|b}|{c|{d|e}}}", list("abcde")),
    ("{a} {{b}}", ["a b"]),
    ("a {big |}fox", ["a big fox", "a fox"]),
    ("{|a}", ["", "a"]),
    ("{a|a}", ["a", "a"]),
    ("a|b", ["a|b"]),
    (r"\{a\|b\} {c\|d|e\}}", ["{a|b} c|d", "{a|b} e}"]),
    (r"a \(fox\) \ {b\c|\\}}", [r"a \(fox\) \ b\c", r"a \(fox\) \ \}"]),
    ("{a|b}\n{c|d}", list("abcd")),
])  # fmt: skip
def test_lines_and_choices(text, expected):
    assert expanded(text, MOST) == expected


@pytest.mark.parametrize(("text", "sentence"), [
    ("a\nb {c", "Line 2 of the text opens a brace that it does not close: write \\\\{ for the character itself."),
    ("{a|{b}", "Line 1 of the text opens a brace"),
    ("{" * 5000, "Line 1 of the text opens a brace"),
    ("a }b", "Line 1 of the text closes a brace that it did not open: write \\\\} for the character itself."),
    ("{a\nb}", "Line 1 of the text opens a brace"),
    ("", "The text has no line with a word in it: write one prompt in each line."),
    (" \n\t\n", "no line with a word"),
    (13 * "{a|b}", "stands for more than 4096 prompts: take some of the choices in braces out."),
    (4097 * "a\n", "more than 4096"),
    (100 * "{a|b}", "more than 4096"),
    ("{" + 9 * "{a|b|c}" + "}", "more than 4096"),
])  # fmt: skip
def test_what_is_wrong_is_one_sentence(text, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        expanded(text, MOST)
    assert "\n" not in str(error.value)


def test_as_many_as_there_may_be():
    assert len(set(expanded(12 * "{a|b}", MOST))) == len(expanded(4096 * "a\n", MOST)) == MOST
