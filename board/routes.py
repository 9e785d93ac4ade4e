"""What browsers ask of runs. Ids are made here and looked up among the last runs, so that nothing of a request reaches the file system."""

import asyncio

from aiohttp import web

from ..sampling.notices import prompt_server
from ..sampling.pause import Answer
from ..sampling.seeds import parse, refuse_both
from .tiles import MOST, tiles
from .watched import running, watched

PREFIX = "/group_inference/board"
GONE = "This run is no longer kept: the last ones are, until ComfyUI ends."


def add_routes():
    """To the host's server, which publishes them under /api as well; nothing where there is none."""
    if server := prompt_server():
        server.routes.get(PREFIX)(get_running)
        server.routes.get(PREFIX + "/{run}")(get_run)
        server.routes.get(PREFIX + "/{run}/{round}.webp")(get_round)
        server.routes.post(PREFIX + "/{run}/choose")(post_choose)
        server.routes.post(PREFIX + "/{run}/pause")(post_pause)


async def get_running(request):
    """The words of runs that a browser has queued and that are not over, for one that was reloaded."""
    return web.json_response([run.word() for run in running(request.query.get("client", ""))])


async def get_run(request):
    """All that is known of a run, see Watched.as_data."""
    run = _run(request)
    if question := run.question:  # which the thread that samples takes away
        question.seen()
    return web.json_response(run.as_data())


async def get_round(request):
    """A sheet of the candidates that a round looked at, in its order, as they were then; of a run that is done, round "results"
    has the group."""
    run, name = _run(request), request.match_info["round"]
    rounds = run.record.rounds
    if name == "results" and run.status == "done":
        named = [(seed, None) for seed in run.record.seeds]
    elif name in (numbers := {str(number): look for number, look in enumerate(rounds)}):
        named = [(seed, numbers[name].step) for seed in numbers[name].seeds]
    else:
        raise _missing(f"This run has no round {name}.")
    if len(named) > MOST:
        raise _missing(f"This round looked at {len(named)} pictures, more than are shown.")
    if not run.shows:
        raise _missing("Previews are off, so nothing is shown before the run is done.")
    sheet = await asyncio.get_running_loop().run_in_executor(None, _sheet, run, named)
    if sheet is None:
        raise _missing("What this run left is no longer kept, or is no pictures.")
    # What a round looked at stays as it is.
    return web.Response(body=sheet, content_type="image/webp", headers={"Cache-Control": "private, max-age=3600"})


async def post_choose(request):
    """{"seeds"}: whom the newest round would have chosen, best first, by {"round", "lambda_score", "output_group_size", "pinned", "banned"}
    as the nodes take them, what is not named as in the run; round: its number, as who asks knows it; who was not looked at does not count.
    Nothing is changed."""
    run = _run(request)
    asked, rounds = run.asked, run.record.rounds
    settings = run.record.settings
    own = [", ".join(map(str, settings.get(name, []))) for name in ("pinned", "banned")]
    wanted, (pinned, banned, weight, n) = await _wanted(request, Answer(*own, settings["lambda_score"], settings["output_group_size"]))
    if asked is None or wanted.get("round") != len(rounds) - 1:
        raise _missing("Only the newest look of the newest run, if it is not too large, can be asked what would be.")
    seeds = rounds[-1].seeds
    try:
        kept, out = (_places(name, text, seeds, settings) for name, text in (("pinned", pinned), ("banned", banned)))
        refuse_both(kept, out)
        least, most = max(1, len(kept)), len(seeds) - len(out)
        if not least <= n <= most:
            raise ValueError(f"output_group_size must be from {least} to {most} here.")
        chosen = await asyncio.get_running_loop().run_in_executor(None, asked.again, weight, n, kept, out)
    except ValueError as e:
        raise web.HTTPBadRequest(text=str(e)) from e
    return web.json_response({"seeds": [str(seeds[i]) for i in chosen]})


async def post_pause(request):
    """{"seconds_left"} of a run that is paused, for {"lambda_score", "output_group_size", "pinned", "banned"} as the nodes take them, what
    is not named as it is. They count when it goes on: at once with "go", or by itself when nobody has said more for so long."""
    question = _run(request).question
    if question is None:
        raise _missing("This run is not paused.")
    question.stay()
    wanted, answer = await _wanted(request, question.answer)
    try:
        await asyncio.get_running_loop().run_in_executor(None, question.check, answer)
    except ValueError as e:
        raise web.HTTPBadRequest(text=str(e)) from e
    question.answer = answer
    if wanted.get("go"):
        question.go_on()
    return web.json_response({"seconds_left": question.seconds_left})


async def _wanted(request, now):
    """(what a browser sent, the Answer in it: `now` but for what it names)."""
    try:
        wanted = await request.json()
        pinned, banned, weight, n = (wanted.get(name, own) for name, own in now._asdict().items())
        return wanted, Answer(str(pinned), str(banned), float(weight), int(n))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as e:
        raise web.HTTPBadRequest(text="lambda_score and output_group_size must be numbers, pinned and banned texts.") from e


def _places(name, text, seeds, settings):
    """Where those that a text names are among seeds."""
    rows = settings.get("rows", settings["starting_candidates"])
    named = set(parse(name, text, rows if rows > 1 else None, settings.get("seed", 0)))
    return [i for i, seed in enumerate(seeds) if seed in named]


def _run(request):
    run = watched(request.match_info["run"])
    if run is None:
        raise _missing(GONE)
    return run


def _missing(text):
    return web.HTTPNotFound(text=text)


def _sheet(run, named):
    """The file with the pictures of candidates by (seed, step); None if there are none."""
    pictures = [_picture(run, seed, step) for seed, step in named]
    return tiles(pictures) if any(picture is not None for picture in pictures) else None


def _picture(run, seed, step):
    try:
        return run.pool.picture(seed, run.record.row(seed), step)
    except ValueError:  # the oldest pools go first
        return None
