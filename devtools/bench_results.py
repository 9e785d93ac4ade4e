"""python3 dev.py bench results: what bench groups left in build/bench, as docs/tables.md and the plot of docs/results.md."""

import argparse
import json
import sys
from pathlib import Path

from .statistics import cell, plot

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "bench"
COSTS = {"rows": 0, "looks": 0, "seconds": 2}
SHOWN = {"vendi": 2, "smallest": 3, "right": 3, "distinct": 3, "answers": 3}
GAINS = {"objective": 2, "right": 3, "answers": 3}
HEAD = """# Tables

What `python3 dev.py bench results` prints of all that `bench groups` measured; [results.md](results.md) says what the columns mean and what
follows from them."""
# Of the plot: what is paid for and what is asked, beside each other.
SERIES = {
    "best of N finished": "finished", "the paper's schedule": "paper", "budget, clip and dinov2": "budget", "budget, nothing connected": "alone",
}  # fmt: skip


def kind(found, policy):
    """Which of the plot's series a policy belongs to."""
    if "(paper)" in policy:
        return "paper"
    if policy.endswith("nothing connected"):
        return "alone"
    own = found["families"][policy]
    return own if own == "finished" or (own == "budget" and "," not in policy) else None


def shown(found, size, policy):
    """Whether the tables have it."""
    equal = policy in found["equal"].get(size, {})
    families = ("plain", "budget", "drafts", "rivals")
    return equal or found["families"][policy] in families or "(paper)" in policy or policy.endswith("of 64 finished")


def markdown(found, size):
    def line(policy, figures):
        why = found["equal"].get(size, {}).get(policy)
        name = f"{policy} ({why})" if why else policy
        plain = found["families"][policy] == "plain"
        gains = ["" if plain else cell(figures[f"gain {g}"], digits, "+") for g, digits in GAINS.items()]
        return [name, *(f"{figures[n][0]:.{digits}f}" for n, digits in (COSTS | SHOWN).items()), *gains]

    head = ["", *COSTS, *SHOWN, *(f"gain in {name}" for name in GAINS)]
    rows = [line(policy, figures) for policy, figures in found["groups of"][size].items() if shown(found, size, policy)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def points(found, size, what):
    """Of one series, the cheapest first: (seconds, gain, nothing written beside it), means with their intervals."""
    asked = [figures for policy, figures in found["groups of"][size].items() if kind(found, policy) == what]
    return sorted((tuple(figures["seconds"]), tuple(figures["gain objective"]), "") for figures in asked)


def main():
    parser = argparse.ArgumentParser(prog="dev.py bench results", description=__doc__)
    parser.add_argument("--plot", type=Path, help="where the plot goes; else none is drawn")
    options = parser.parse_args()
    files = sorted(FOLDER.glob("groups_*.json"))
    if not files:
        return f"There is nothing in {FOLDER}: run bench groups first."
    panels = []
    print(HEAD)
    for path in files:
        found = json.loads(path.read_text())
        setting = found["setting"]
        for size in found["groups of"]:
            title = f"{setting['garden']}, groups of {size}, guidance {setting['guidance']:g}, {setting['steps']} steps"
            print(
                f"## {title[0].upper()}{title[1:]}\n\n{len(found['prompts'])} prompts, pools of {found['candidates']}\n\n{markdown(found, size)}\n"
            )
            if (size, setting["guidance"], setting["steps"]) == ("4", 3, 20):
                series = {name: points(found, size, what) for name, what in SERIES.items()}
                panels.append(
                    (title, "seconds of one thread, looks included log", "gain in the paper's objective over 4 plain images", series)
                )
    if options.plot:
        plot(options.plot, panels, joined=True)
    return None


if __name__ == "__main__":
    sys.exit(main())
