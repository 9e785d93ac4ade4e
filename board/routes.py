"""What browsers ask of runs. Ids are made here and looked up among the last runs, so that nothing of a request reaches the file system."""

import asyncio

import numpy as np
from aiohttp import web

from ..sampling.notices import prompt_server
from ..sampling.record import row_of
from .tiles import tiles
from .watched import running, watched

# Pictures on one sheet.
MOST = 1024
PREFIX = "/group_inference/board"
GONE = "This run is no longer kept: the last ones are, until ComfyUI ends."


def add_routes():
    """To the host's server, which publishes them under /api as well; nothing where there is none."""
    if server := prompt_server():
        server.routes.get(PREFIX)(get_running)
        server.routes.get(PREFIX + "/{run}")(get_run)
        server.routes.get(PREFIX + "/{run}/{round}.webp")(get_round)


async def get_running(request):
    """The words of runs that a browser has queued and that are not over, for one that was reloaded."""
    return web.json_response([run.word() for run in running(request.query.get("client", ""))])


async def get_run(request):
    """All that is known of a run, see Watched.as_data."""
    return web.json_response(_run(request).as_data())


async def get_round(request):
    """A sheet of the candidates that a round looked at, in its order, as they were then; of a run that is done, round "results"
    has the group."""
    run, name = _run(request), request.match_info["round"]
    rounds = run.record.rounds
    if name == "results" and run.status == "done":
        named = [(seed, None) for seed in run.record.seeds]
    elif name.isdecimal() and int(name) < len(rounds):
        named = [(seed, rounds[int(name)].step) for seed in rounds[int(name)].seeds]
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
        picture = run.pool.picture(seed, row_of(vars(run.record), seed), step)
    except ValueError:  # the oldest pools go first
        return None
    return None if picture is None else np.asarray(picture)
