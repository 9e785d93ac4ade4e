#!/usr/bin/env python3
"""One script for everything. Standard library only, Python 3.10 or newer.

python3 dev.py demo                      set up, sample a group with the garden model, leave the pictures in output/
python3 dev.py test [pytest arguments]   set up, run all tests; with --host 0.24.0 on that version of ComfyUI
python3 dev.py serve [--port N] [-- ...] ComfyUI with this pack for a browser; everything after -- goes to ComfyUI
python3 dev.py run workflows/garden.json --set 7.seed=5
                                         run a workflow and save its images and report (--help says what else)
python3 dev.py env                       print COMFYUI_PATH and PYTHON of the host in use
python3 dev.py bench groups [...]        what a group is worth and costs, beside other methods (--help says what else)
python3 dev.py bench results [...]       the tables and the plot of docs/results.md, of what bench groups left
python3 dev.py bench previews [...]      which scores of which previews can be trusted when, and what a look costs
python3 dev.py bench cost [...]          what a run takes, of what, and how well its plan counted that
python3 dev.py bench solver [...]        how fast selections are proven (--help says what else)
python3 dev.py bench scorers [...]       what scoring costs
python3 dev.py bench memory [...]        peak memory against the number of candidates, beside the stock sampler
python3 dev.py bench folder [...]        QIP Selector on thousands of pictures: seconds by part, and peak memory
python3 dev.py bench board [...]         what it costs a run that its board is open
python3 dev.py bench workers [...]       what a group takes with workers, of what, and what more of them would
python3 dev.py thumbnails [NAME ...]     draw the pictures beside the workflows again
python3 dev.py help-pictures [NODE ...]  draw the pictures of the help pages again
python3 dev.py board-film                draw docs/board.webp, the board at work, again
python3 dev.py train-garden [...]        train the garden model again (--help says what else)

The host is COMFYUI_PATH (run with COMFYUI_PYTHON, or this Python), else the ComfyUI whose custom_nodes this folder is in,
else one that is brought into the user's cache folder: COMFYUI_VERSION chooses its version.
"""

import argparse
import os
import subprocess
import sys

from devtools.host import ROOT, HostError, find_host
from devtools.server import device_arguments, user_folders

BENCHES = ("groups", "results", "previews", "cost", "solver", "scorers", "memory", "folder", "board", "workers")


def run(host, *command):
    """Run the host's Python in this folder; its exit status."""
    environment = {**os.environ, "COMFYUI_PATH": str(host.path), "COMFYUI_PYTHON": host.python}
    if host.ours:
        environment["GROUP_INFERENCE_HOST"] = "brought"
    if host.transformers4:
        environment["TRANSFORMERS_4"] = str(host.transformers4)
    if host.frontend:
        environment["NEWER_FRONTEND"] = str(host.frontend / "comfyui_frontend_package" / "static")
    return subprocess.call([host.python, *map(str, command)], cwd=ROOT, env=environment)


def serve(host, arguments):
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog="dev.py serve")
    parser.add_argument("--port", type=int, default=8188)
    options = parser.parse_args(arguments[:split])
    command = [host.python, host.path / "main.py", "--port", options.port, *device_arguments(host.python), *user_folders(host)]
    return subprocess.call([*map(str, command), *arguments[split + 1 :]], cwd=host.path)


def bench(host, arguments):
    if not arguments or arguments[0] not in BENCHES:
        print(f"dev.py bench needs to know what: {', '.join(BENCHES)}.", file=sys.stderr)
        return 2
    return run(host, "-m", f"devtools.bench_{arguments[0]}", *arguments[1:])


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0
    name, arguments = sys.argv[1], sys.argv[2:]
    if name == "test" and "--host" in arguments:
        at = arguments.index("--host")
        os.environ["COMFYUI_VERSION"] = "".join(arguments[at + 1 : at + 2])
        os.environ.pop("COMFYUI_PATH", None)
        arguments = arguments[:at] + arguments[at + 2 :]
    commands = {
        "demo": lambda host: run(host, "-m", "devtools.demo", *arguments),
        "test": lambda host: run(host, "-m", "pytest", *arguments),
        "serve": lambda host: serve(host, arguments),
        "run": lambda host: run(host, "-m", "devtools.run", *arguments),
        "env": lambda host: print(f"COMFYUI_PATH={host.path}\nPYTHON={host.python}"),
        "bench": lambda host: bench(host, arguments),
        "thumbnails": lambda host: run(host, "-m", "devtools.thumbnails", *arguments),
        "help-pictures": lambda host: run(host, "-m", "devtools.help_pictures", *arguments),
        "board-film": lambda host: run(host, "-m", "devtools.board_film"),
        "train-garden": lambda host: run(host, "-m", "garden.training", *arguments),
    }
    if name not in commands:
        print(f"dev.py does not know '{name}': it knows {', '.join(commands)}.", file=sys.stderr)
        return 2
    try:
        return commands[name](find_host())
    except HostError as e:
        print(e, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
