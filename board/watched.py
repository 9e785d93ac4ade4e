"""Runs that browsers look at: a few of the last ones, and a word to the browser that queued a run whenever there is more of it to see."""

import sys
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace

import latent_preview
from comfy.cli_args import LatentPreviewMethod
from comfy_execution.utils import get_executing_context

from ..sampling.choose import Asked
from ..sampling.kept import KeptPool
from ..sampling.notices import prompt_server, running_prompt
from ..sampling.record import Run
from .question import Question
from .tiles import MOST as MOST_SHOWN

EVENT = "group_inference.board"
# Of the last runs; what they left is kept elsewhere, and may be gone before.
MOST = 32
SWITCH = "--preview-method"
# Parts of a report and of its rounds that are lists of seeds.
SEEDS = {"seeds", "kept", "below_floor", "nearest"}


@dataclass
class Watched:
    """A run as it is now. pool: has `picture`, see KeptPool; node: id of the node that runs, as the host executes it; client: of the
    browser that queued it, None of a script; begun: in seconds; status: "running", "paused", "done" or "stopped"; said: how many words
    there were; question: of a run that is paused, see pause.py; shows: whether its pictures may be seen yet, which users turn off with the
    host's previews; asked: what its newest round decided, for who asks what would be, of the newest run alone, since scorers may be large;
    None of more candidates than are shown, and where nobody looks."""

    record: Run
    pool: KeptPool
    node: str
    client: str | None
    shows: bool
    status: str = "running"
    said: int = 0
    question: Question | None = None
    begun: float = field(default_factory=time.time)
    asked: Asked | None = None

    def word(self):
        """What a browser hears, few bytes: it asks for what it wants to see."""
        rounds = len(self.record.rounds)
        return {"run": self.record.id, "node": self.node, "begun": self.begun, "said": self.said, "rounds": rounds, "status": self.status}

    def say(self):
        """To the browser that queued it."""
        self.said += 1
        if self.client is not None:
            prompt_server().send_sync(EVENT, self.word(), self.client)

    def as_data(self):
        """What it gets: the report, with seeds as texts, whether pictures may be seen, the round of which it may ask what would be, if any,
        and while it is paused the seconds until it goes on by itself; distances of the last round alone, which are drawn of the group and
        are most of a report."""
        question = self.question  # which the thread that samples takes away
        left = question and question.seconds_left
        rounds = list(self.record.rounds)  # to which the thread that samples adds
        again = None if self.asked is None else len(rounds) - 1
        rounds[:-1] = [replace(look, pairwise=None) for look in rounds[:-1]]
        report = for_browsers(replace(self.record, rounds=rounds).as_data())
        return {**self.word(), "shows": self.shows, "again": again, "seconds_left": left, "report": report}


def for_browsers(report):
    """A report as data with its seeds as texts: numbers of browsers are exact up to 2^53."""
    as_texts = lambda named: {key: value and [str(seed) for seed in value] for key, value in named.items() if key in SEEDS}
    settings = {name: str(value) if name == "seed" else value for name, value in report["settings"].items()}
    rounds = [{**look, **as_texts(look)} for look in report["rounds"]]
    return {**report, **as_texts(report), "settings": settings, "rounds": rounds}


_runs = OrderedDict()


def watch(record, pool, asked=None, over=False):
    """What a run says when it begins, after each selection, with what that was asked, and when it is over, whether it came to its end or
    not."""
    server, context = prompt_server(), get_executing_context()
    if server is None or context is None:
        return
    if record.id not in _runs:
        for other in _runs.values():
            other.asked = None
        _runs[record.id] = Watched(record, pool, context.node_id, server.client_id, previews_wanted())
    run = _runs[record.id]
    while len(_runs) > MOST:
        _runs.popitem(last=False)
    if asked is not None:
        run.asked = asked if run.client is not None and len(record.rounds[-1].seeds) <= MOST_SHOWN else None
    if over:
        run.status, run.shows = "done" if record.seeds else "stopped", True
    run.say()


def previews_wanted():
    """Not where the user has turned the host's previews off, for this prompt or for the server. Where nobody said anything the host
    shows none for their cost, and these are there anyway."""
    prompt = running_prompt()
    said = prompt and prompt[1].get("preview_method")
    if said not in (None, "default"):
        return said != "none"
    return latent_preview.default_preview_method != LatentPreviewMethod.NoPreviews or not any(word.startswith(SWITCH) for word in sys.argv)


def someone_looks():
    """Whether a browser has queued what is running."""
    return getattr(prompt_server(), "client_id", None) is not None


def watched(run_id):
    """The Watched run of this id; None if it is not among the last ones."""
    return _runs.get(run_id)


def running(client):
    """Those that a browser has queued and that are not over."""
    return [run for run in list(_runs.values()) if run.client == client and run.status in ("running", "paused")]
