"""python3 dev.py board-film: docs/board.webp, what the board shows while the garden workflow runs and afterwards, in the real frontend."""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from .browser import browser_programs
from .host import ROOT, HostError, host_in_use
from .server import Server, device_arguments

FILM = ROOT / "docs" / "board.webp"


def main():
    host = host_in_use()
    log = ROOT / "output" / "comfyui.log"
    with browser_programs() as run, Server(host, device_arguments(host.python), log) as server, tempfile.TemporaryDirectory() as scratch:
        durations = run("board_film.mjs", server.address, ROOT / "workflows" / "garden.json", scratch)
        first, *others = (Image.open(Path(scratch, f"{number}.png")).convert("RGB") for number in range(len(durations)))
        first.save(FILM, save_all=True, append_images=others, duration=durations, loop=0, quality=80, method=6)
    print(FILM)


if __name__ == "__main__":
    try:
        main()
    except HostError as e:
        sys.exit(str(e))
