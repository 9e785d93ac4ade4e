"""python3 dev.py demo: the garden workflow through a real server, beside plain sampling of the first K seeds."""

import json
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .host import ROOT, HostError, host_in_use
from .server import Server, device_arguments
from .statistics import vendi

OUTPUT = ROOT / "output"
WORKFLOW = ROOT / "workflows" / "api" / "garden.json"
ZOOM = 4


def with_plain_sampling(graph):
    """The workflow, the first K seeds by the stock KSampler, and the final scores of both groups; all in one prompt."""
    graph = dict(graph)
    sampler = graph["7"]["inputs"]
    size = sampler["output_group_size"]
    stock = {
        k: sampler[k] for k in ("model", "positive", "negative", "latent_image", "steps", "cfg", "sampler_name", "scheduler", "denoise")
    }
    images = []
    for i in range(size):
        graph[f"plain{i}"] = {"class_type": "KSampler", "inputs": {**stock, "seed": sampler["seed"] + i}}
        graph[f"decoded{i}"] = {"class_type": "VAEDecode", "inputs": {"samples": [f"plain{i}", 0], "vae": ["1", 2]}}
        images.append([f"decoded{i}", 0])
    graph["batch1"] = {"class_type": "ImageBatch", "inputs": {"image1": images[0], "image2": images[1]}}
    for i in range(2, size):
        graph[f"batch{i}"] = {"class_type": "ImageBatch", "inputs": {"image1": [f"batch{i - 1}", 0], "image2": images[i]}}
    for name, source in (("group", ["8", 0]), ("plain", [f"batch{size - 1}", 0])):
        scorers = {k: sampler[k] for k in ("unary", "pairwise", "lambda_score")}
        scored = {"image": source, "output_group_size": size, **scorers, "objective": sampler["objective"]}
        graph[f"score {name}"] = {"class_type": "QIPSelector", "inputs": scored}
        graph[f"report {name}"] = {"class_type": "PreviewAny", "inputs": {"source": [f"score {name}", 3]}}
        graph[f"save {name}"] = {"class_type": "SaveImage", "inputs": {"images": source, "filename_prefix": name}}
    return graph


def measure(report):
    scored = report["rounds"][0]
    pairs = np.array(scored["pairwise"])[np.triu_indices(len(scored["seeds"]), 1)]
    return {
        "mean u": float(np.mean(scored["unary"])),
        "mean pairwise distance": float(pairs.mean()),
        "Vendi score": vendi(scored["pairwise"]),
    }


def strip(pictures):
    wide = np.concatenate([np.asarray(p) for p in pictures], axis=1)
    image = Image.fromarray(wide)
    return image.resize((image.width * ZOOM, image.height * ZOOM), Image.Resampling.BICUBIC)


def side_by_side(rows):
    """rows: (title, strip) -> one picture with titles above the strips."""
    width, bar = rows[0][1].width, 28
    sheet = Image.new("RGB", (width, sum(bar + image.height for _, image in rows)), "white")
    draw, y = ImageDraw.Draw(sheet), 0
    for title, image in rows:
        draw.text((8, y + 5), title, fill="black", font=ImageFont.load_default(size=15))
        sheet.paste(image, (0, y + bar))
        y += bar + image.height
    return sheet


def main():
    host = host_in_use()
    graph = with_plain_sampling(json.loads(WORKFLOW.read_text()))
    sampler = graph["7"]["inputs"]
    OUTPUT.mkdir(exist_ok=True)
    with Server(host, device_arguments(host.python)) as server:
        entry = server.wait(server.submit(graph))
        if server.error(entry):
            raise HostError(server.error(entry))
        outputs = entry["outputs"]
        pictures = {name: server.pictures(entry, f"save {name}") for name in ("plain", "group")}
        reports = {name: json.loads(outputs[f"report {name}"]["text"][0]) for name in ("plain", "group")}
        run = json.loads(outputs["10"]["text"][0])
    figures = {name: measure(report) for name, report in reports.items()}
    strips = {name: strip(images) for name, images in pictures.items()}
    for name, image in strips.items():
        image.save(OUTPUT / f"{name}.png")
    first = sampler["seed"]
    titles = {
        "plain": f"plain sampling, seeds {first} to {first + sampler['output_group_size'] - 1}",
        "group": f"group of {sampler['output_group_size']} from {run['plan']['start']}, {run['plan']['cost']:.1f} times the work, seeds {', '.join(map(str, run['seeds']))}",
    }
    scored = {name: f"{title}:   " + "   ".join(f"{k} {v:.3f}" for k, v in figures[name].items()) for name, title in titles.items()}
    side_by_side([(scored[name], strips[name]) for name in ("plain", "group")]).save(OUTPUT / "side_by_side.png")
    (OUTPUT / "report.json").write_text(json.dumps(run, indent=1))

    print(f"\nprompt: {graph['2']['inputs']['text']!r}\n\n{'':24}{'plain':>10}{'group':>10}")
    for name in figures["plain"]:
        print(f"{name:24}{figures['plain'][name]:10.3f}{figures['group'][name]:10.3f}")
    print(f"\n{run['plan']['in_words']}")
    print("seconds                 " + "   ".join(f"{part} {seconds:.2f}" for part, seconds in run["seconds"].items()))
    for warning in run["warnings"]:
        print(f"warning: {warning}")
    print(f"\nSee {OUTPUT / 'side_by_side.png'}")


if __name__ == "__main__":
    try:
        main()
    except HostError as e:
        sys.exit(str(e))
