"""The way from a run that pauses to the browser that queued it, and back."""

import comfy.model_management

from ..sampling.notices import running_prompt
from .question import Question
from .watched import watched

# Between looks at whether the run was interrupted.
SECONDS = 0.1
_changes = 0


def ask(record, now, check):
    """The Answer of who looks at the board of a run, `now` if nobody does; see sampling/pause.py. Raises the host's exception when the run
    is interrupted."""
    global _changes
    run = watched(record.id)
    if run is None or run.client is None or not _queued_by_a_page():
        return now
    question = Question(now, check)
    run.question, run.status = question, "paused"
    run.say()
    try:
        while not question.over(SECONDS):
            comfy.model_management.throw_exception_if_processing_interrupted()
    finally:
        run.question, run.status = None, "running"
        run.say()
    _changes += question.answer != now
    return question.answer


def answers():
    """How many runs were told something else than their inputs at a pause: for nodes that the host would not run again."""
    return _changes


def _queued_by_a_page():
    """It sends the workflow along, which scripts have no use for."""
    prompt = running_prompt()
    pnginfo = prompt and prompt[1].get("extra_pnginfo")
    return bool(isinstance(pnginfo, dict) and pnginfo.get("workflow"))
