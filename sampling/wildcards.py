"""Lines of text to prompts: {red|blue} stands for each of its choices."""

import re
from itertools import chain

# A brace or a bar, or the text up to the next one; a backslash takes the meaning of what follows it away.
TOKENS = re.compile(r"[{}|]|(?:[^{}|\\]|\\[{}|]?)+")
ESCAPED = re.compile(r"\\([{}|])")


def expanded(text, most):
    r"""The lines of a text with each {a|b|c} replaced by each of its choices: all combinations, nested ones too, in reading order,
    the last choice varying first. Lines without a word are left out; \{ \} \| are these characters; a | outside braces is one too.
    Raises ValueError for braces that do not match, for no line at all, and for more than `most` prompts."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            found += _combinations(line, number, most)
            _check(len(found), most)
    if not found:
        raise ValueError("The text has no line with a word in it: write one prompt in each line.")
    return [variant.strip() for variant in found]


def _combinations(line, number, most):
    # Of the line and of each brace that is open in it the choices so far; of a choice all its combinations so far.
    open_ = [[[""]]]
    for token in TOKENS.findall(line):
        choices = open_[-1]
        if token == "{":
            open_.append([[""]])
        elif token == "|" and len(open_) > 1:
            choices.append([""])
        elif token == "}":
            if len(open_) == 1:
                raise ValueError(f"Line {number} of the text closes a brace that it did not open: write \\}} for the character itself.")
            inner = list(chain.from_iterable(open_.pop()))
            before = open_[-1][-1]
            _check(len(before) * len(inner), most)
            open_[-1][-1] = [start + end for start in before for end in inner]
        else:
            plain = ESCAPED.sub(r"\1", token)
            choices[-1] = [start + plain for start in choices[-1]]
    if len(open_) > 1:
        raise ValueError(f"Line {number} of the text opens a brace that it does not close: write \\{{ for the character itself.")
    return open_[0][0]


def _check(count, most):
    if count > most:
        raise ValueError(f"The text stands for more than {most} prompts: take some of the choices in braces out.")
