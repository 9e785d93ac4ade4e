"""python3 dev.py bench board: what it costs a run that its board is open, in a real server on the garden. Three ways take turns, each run with
seeds of its own: queued by a script, for which nothing is said; by a browser that does not look; and by one that asks for reports and
sheets, as the board does. What the last one asked is asked again when nothing runs: the processor time that this takes is the most that a
run can lose by it, and less noisy than seconds are."""

import argparse
import contextlib
import json
import threading
import time
import urllib.error

import numpy as np
import psutil
import websocket

from .host import ROOT, host_in_use
from .server import Server, device_arguments
from .statistics import cell, interval, machine, table

PATH = "/group_inference/board"
# Seconds, as in web/board/board.js.
REST = 1.0
WAYS = {"nobody": None, "queued by a browser": "elsewhere", "board open": "board"}
# Of what a run's board asks.
REPEATS = 20


class Board(threading.Thread):
    """Asks as web/board does, one state and one sheet at a time. asked: bytes that came; paths: of the newest run."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.asked, self.paths, self.shown = server, 0, [], None
        self.over = threading.Event()
        self.socket = websocket.create_connection(f"{server.address.replace('http', 'ws')}/ws?clientId=board", timeout=600)

    def run(self):
        """While it samples by the newest word after each rest, at once when it is over."""
        word, asked = None, 0.0
        while not self.over.is_set():
            self.socket.settimeout(max(0.01, asked + REST - time.monotonic()) if word else REST)
            with contextlib.suppress(websocket.WebSocketTimeoutException):
                message = self.socket.recv()
                if isinstance(message, str) and (heard := json.loads(message))["type"] == "group_inference.board":
                    word = heard["data"]
            if word and (word["status"] != "running" or time.monotonic() >= asked + REST):
                self.look(word)
                word, asked = None, time.monotonic()

    def look(self, word):
        path = f"{PATH}/{word['run']}"
        if self.shown != path:
            self.shown, self.paths = path, []
        sheet = f"{path}/{word['rounds'] - 1}.webp" if word["status"] == "running" else f"{path}/results.webp"
        wanted = [path, *([sheet] if word["rounds"] and sheet not in self.paths else [])]
        try:
            self.asked += sum(len(self.server.get(one, raw=True)) for one in wanted)
        except urllib.error.HTTPError as e:
            raise RuntimeError(f"{path}: {e.read().decode()}") from e
        self.paths += wanted


def processor_seconds(server, paths):
    """That the server takes to answer all these once, while it does nothing else."""
    process = psutil.Process(server.process.pid)
    taken = lambda: sum(process.cpu_times()[:2])
    before = taken()
    for path in REPEATS * paths:
        server.get(path, raw=True)
    return (taken() - before) / REPEATS


def seconds(server, graph, client):
    """That the host takes for a prompt, by its own messages."""
    entry = server.wait(server.submit(graph, **({"client_id": client} if client else {})))
    if error := server.error(entry):
        raise RuntimeError(error)
    times = {name: data["timestamp"] for name, data in entry["status"]["messages"]}
    return (times["execution_success"] - times["execution_start"]) / 1000


def main():
    parser = argparse.ArgumentParser(prog="dev.py bench board", description=__doc__)
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--runs", type=int, default=12, help="of each way")
    options = parser.parse_args()
    graph = json.loads((ROOT / "workflows" / "api" / "garden.json").read_text(encoding="utf-8"))
    settings = {"schedule": "paper", "starting_candidates": options.candidates, "pruning_ratio": 0.2, "steps": options.steps}
    found = {way: [] for way in WAYS}
    host = host_in_use()
    with Server(host, device_arguments(host.python), ROOT / "output" / "comfyui.log") as server:
        board = Board(server)
        board.start()
        for number in range(options.runs + 1):
            for place in range(len(WAYS)):
                way = list(WAYS)[(number + place) % len(WAYS)]  # none always comes after the same one
                graph["7"]["inputs"] |= settings | {"seed": 10_000 * (3 * number + place)}
                took = seconds(server, graph, WAYS[way])
                if not board.is_alive():
                    raise RuntimeError("The board has stopped asking, for the reason above.")
                if number:  # the first run of each does what only a first run does
                    found[way].append(took)
        asked = processor_seconds(server, board.paths)
        board.over.set()
        board.join()
    base = np.array(found["nobody"])
    rows = [[way, f"{np.median(took):.2f}", cell(interval(np.array(took) / base), 3)] for way, took in found.items()]
    print(
        table(
            ["", "seconds, median", "over nobody"],
            rows,
            f"{options.candidates} candidates, {options.steps} steps, {options.runs} runs each",
        )
    )
    share = asked / np.median(found["nobody"])
    print(f"\nThe board asked for {board.asked / 2**10 / (options.runs + 1):.0f} kB a run.")
    print(f"To answer what it asked in the last one takes {1000 * asked:.0f} ms of a processor, {100 * share:.1f} % of a run's seconds.")
    print(", ".join(f"{name} {value}" for name, value in machine().items()))


if __name__ == "__main__":
    main()
