"""QIP Selector on a folder and on images of several sizes: the same choice as of a batch, and nothing read that is not to be."""

import json
import os

import comfy.model_management
import folder_paths
import nodes
import numpy as np
import pytest
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from group_inference.nodes.qip_selector import QIPSelector
from group_inference.sampling import ask, pictures
from group_inference.sampling.pictures import Folder
from group_inference.scorers.color import ColorHistogram
from group_inference.scorers.combine import Combined, QualityFloor
from group_inference.scorers.different_from import DifferentFrom
from group_inference.scorers.latent import LatentDistance
from group_inference.scorers.motion import Motion
from group_inference.scorers.pool import fitted
from group_inference.scorers.structure import Edges, Ssim
from PIL import Image


class Bright:
    name, needs_images = "bright", True

    def score(self, pool):
        return pool.images.mean((1, 2, 3))


@pytest.fixture
def host_folders(tmp_path, monkeypatch):
    """An input and an output folder of the host's, with others beside them."""
    for kind in ("input", "output", "temp", "elsewhere"):
        (tmp_path / kind).mkdir()
    for kind in ("input", "output", "temp"):
        monkeypatch.setattr(folder_paths, f"{kind}_directory", str(tmp_path / kind))
    return tmp_path


def drawn(count, height=40, width=28, seed=0):
    """uint8 pictures [H, W, 3]."""
    coarse = torch.rand(count, 3, 5, 4, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear").movedim(1, -1)
    return [(255 * picture).round().to(torch.uint8).numpy() for picture in smooth]


def save(folder, images, ending="png"):
    folder.mkdir(exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i:03}.{ending}")


def select(size=3, pairwise=None, unary=None, images=(), objective="balanced", **inputs):
    out = QIPSelector.execute(images, [size], [1.5], [objective], unary=(unary,), pairwise=(pairwise,), **inputs)
    return [*out.args[:3], json.loads(out.args[3]), *out.args[4:], out.ui["group_summary"]]


PAIRWISE = {
    "color": lambda: ColorHistogram("lab"),
    "edges": Edges,
    "both": lambda: Combined([(ColorHistogram("rgb"), 1.0), (Edges(), 2.0)]),
    "twice the same": lambda: (lambda edges: Combined([(edges, 1.0), (edges, 0.5)]))(Edges()),
    "different": lambda: DifferentFrom(Edges(), torch.stack([torch.from_numpy(x / 255).float() for x in drawn(2, seed=9)])),
}


@pytest.mark.parametrize("pairwise", PAIRWISE)
@pytest.mark.parametrize("objective", ["paper", "max_min"])
def test_a_folder_is_chosen_from_as_its_pictures_in_a_batch(host_folders, pairwise, objective):
    images = drawn(37)  # more than are looked at together
    save(host_folders / "input" / "cats", images)
    batch = torch.stack([torch.from_numpy(image / 255).float() for image in images])
    bright = Bright()
    scorers = {"pairwise": PAIRWISE[pairwise](), "unary": Combined([(QualityFloor(bright, 0.3), 1.0), (bright, 1.0), (bright, 2.0)])}
    (chosen,), _, indices, report, rejected, others, _, said = select(folder=["cats"], objective=objective, **scorers)
    expected = select(images=[batch], objective=objective, **scorers)
    assert indices == expected[2] and torch.allclose(chosen, expected[0][0], atol=1e-6) and chosen.shape == (3, 40, 28, 3)
    last, other = report["rounds"][0], expected[3]["rounds"][0]
    assert np.allclose(last["pairwise"], other["pairwise"], atol=1e-5) and last["unary"] == pytest.approx(other["unary"], abs=1e-5)
    assert (last["to_fixed"] is None) == (pairwise != "different") and last["status"] == "optimal"
    assert report["files"] == [f"{i:03}.png" for i in range(37)] and expected[3]["files"] == []
    assert f"Files: {', '.join(f'{i:03}.png' for i in indices)}." in said
    assert others == sorted(set(range(37)) - set(indices)) == expected[5]
    assert isinstance(rejected, ExecutionBlocker) and "rejected_indices" in rejected.message
    assert [one.shape for one in expected[4]] == [(1, 40, 28, 3)] * 34 and torch.equal(torch.cat(expected[4]), batch[others])


def test_of_several_sizes_only_the_chosen_are_loaded_whole_and_come_as_a_list(host_folders, monkeypatch):
    sizes = [(40, 28), (700, 1100), (28, 40), (40, 28), (1100, 90)]
    save(host_folders / "output" / "deep", [drawn(1, *size, seed=i)[0] for i, size in enumerate(sizes)])
    loaded, load = [], nodes.LoadImage.load_image
    monkeypatch.setattr(nodes.LoadImage, "load_image", lambda self, name: loaded.append(name) or load(self, name))
    chosen, _, indices, report, *_ = select(2, Edges(), folder=["deep [output]"])
    assert loaded == [f"deep/{i:03}.png [output]" for i in indices] and report["settings"]["starting_candidates"] == 5
    assert [one.shape for one in chosen] == [(1, *sizes[i], 3) for i in indices]
    for one, name in zip(chosen, loaded, strict=True):
        assert torch.equal(one, load(nodes.LoadImage(), name)[0])
    batches = [load(nodes.LoadImage(), f"deep/{i:03}.png [output]")[0] for i in range(5)]
    same = select(2, Edges(), images=batches)
    assert same[2] == indices and all(torch.equal(a, b) for a, b in zip(same[0], chosen, strict=True))
    assert [one.shape for one in same[4]] == [(1, *sizes[i], 3) for i in same[5]]


def test_one_size_is_said_by_all_and_not_by_the_chosen(host_folders):
    """What comes out is of one kind whoever is chosen."""
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    save(host_folders / "input" / "cats", [black, white, np.full((9, 8, 3), 120, np.uint8)])
    chosen, _, indices, *_ = select(2, ColorHistogram("rgb"), folder=["cats"], objective="paper")
    assert sorted(indices) == [0, 1] and [one.shape for one in chosen] == [(1, 8, 8, 3)] * 2


def test_batches_of_several_sizes(host_folders):
    grey = lambda level, side: torch.full((1, side, side, 3), level)
    images = [torch.cat([grey(0.1, 8), grey(0.9, 8)]), grey(0.5, 12), grey(0.12, 9)[..., :1]]
    chosen, _, indices, report, rejected, others, *_ = select(2, ColorHistogram("rgb"), images=images, objective="paper")
    assert sorted(indices) == [0, 1] or sorted(indices) == [1, 3]
    assert [one.shape[-1] for one in rejected] == [1 if i == 3 else 3 for i in others] and len(chosen) == 2
    for scorer in (Ssim(), DifferentFrom(Ssim(), grey(0.9, 20))):
        assert len(select(2, scorer, images=images)[2]) == 2  # few enough to be squashed to one size


def test_pictures_are_taken_upright_and_as_the_host_shows_them(host_folders):
    folder = host_folders / "input" / "odd"
    folder.mkdir()
    upright = drawn(1, 48, 64)[0]
    turned = Image.fromarray(upright)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    turned.rotate(90, expand=True).save(folder / "a.jpg", exif=exif, quality=95)
    Image.fromarray(upright).save(folder / "b.png")
    Image.fromarray(upright).convert("P").save(folder / "c.png")
    Image.fromarray(upright).convert("RGBA").save(folder / "d.webp", lossless=True)
    Image.fromarray(upright).convert("L").save(folder / "e.png")
    for name in sorted(os.listdir(folder)):
        size, seen = pictures._thumbnail(folder / name)
        whole = nodes.LoadImage().load_image(f"odd/{name}")[0]
        assert size == (64, 48) and whole.shape == (1, 48, 64, 3) and (seen - whole[0]).abs().mean() < 0.02, name
    Image.fromarray(upright[..., 0].astype(np.uint16) * 257).save(folder / "f.png")  # 16 bits of grey, which old hosts show white
    assert torch.equal(pictures._thumbnail(folder / "f.png")[1][..., 0], torch.from_numpy(upright[..., 0] / np.float32(255)))
    (chosen,), *_ = select(6, Edges(), folder=["odd"])
    assert chosen.shape == (6, 48, 64, 3)


def test_large_pictures_are_seen_small(host_folders):
    big = drawn(1, 900, 2400)[0]
    save(host_folders / "input" / "big", [big], "jpg")
    size, seen = pictures._thumbnail(host_folders / "input" / "big" / "000.jpg")
    assert size == (2400, 900) and seen.shape == (192, 512, 3)
    assert (seen - fitted(torch.from_numpy(big / 255).float()[None], 512)[0]).abs().mean() < 0.01


@pytest.mark.parametrize("name", ["..", "../elsewhere", "../input/../elsewhere", "cats/../../elsewhere", "ABSOLUTE", "linked", "cats/linked",
    "secret [temp]", "none", "cats/000.png", "\x00", "a" * 5000, "\ud800", "cats [elsewhere]", "~", "C:\\Windows"])  # fmt: skip
def test_no_folder_elsewhere_is_read(host_folders, monkeypatch, name):
    save(host_folders / "elsewhere", drawn(3))
    save(host_folders / "temp" / "secret", drawn(3))
    save(host_folders / "input" / "cats", drawn(3))
    for link in (host_folders / "input" / "linked", host_folders / "input" / "cats" / "linked"):
        link.symlink_to(host_folders / "elsewhere")
    monkeypatch.setattr(Image, "open", None)
    monkeypatch.setattr(os, "scandir", None)
    with pytest.raises(ValueError, match="no such folder in ComfyUI's input or output folder, and no other is read") as error:
        select(2, Edges(), folder=[str(host_folders / "elsewhere") if name == "ABSOLUTE" else name])
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    str(error.value).encode()


def test_links_of_files_lead_nowhere_else(host_folders, monkeypatch):
    save(host_folders / "elsewhere", drawn(1))
    save(host_folders / "input" / "cats", drawn(3))
    save(host_folders / "input" / "dogs", drawn(1, seed=4))
    (host_folders / "input" / "cats" / "003.png").symlink_to(host_folders / "elsewhere" / "000.png")
    (host_folders / "input" / "cats" / "004.png").symlink_to(host_folders / "input" / "dogs" / "000.png")
    opened, image_open = [], Image.open
    monkeypatch.setattr(Image, "open", lambda path, *rest: opened.append(os.path.realpath(path)) or image_open(path, *rest))
    _, _, _, report, *_, said = select(2, Edges(), folder=["cats"])
    assert report["files"] == ["000.png", "001.png", "002.png", "004.png"] and opened
    assert all(str(host_folders / "input") in path for path in opened)
    assert report["warnings"] == said[-1:] == ["Left out 1 files that are links to other places: 003.png."]


def test_both_folders_are_searched_and_the_input_comes_first(host_folders):
    save(host_folders / "output" / "cats", drawn(3))
    assert Folder("cats").kind == "output"
    save(host_folders / "input" / "cats", drawn(2))
    assert Folder("cats").count == 2 and Folder("cats [output]").count == 3 and Folder(str(host_folders / "output" / "cats")).count == 3


def test_what_is_no_picture_is_left_out_by_name(host_folders, caplog):
    folder = host_folders / "input" / "cats"
    save(folder, drawn(4))
    (folder / "notes.txt").write_text("no picture")
    (folder / "002b.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (folder / "below").mkdir()
    _, _, indices, report, *_ = select(4, Edges(), folder=["cats"])
    assert sorted(indices) == [0, 1, 2, 3] and report["files"] == ["000.png", "001.png", "002.png", "003.png"]
    assert report["warnings"] == ["Left out 2 files that cannot be read as pictures: 002b.png, notes.txt."] and "notes.txt" in caplog.text
    with pytest.raises(ValueError, match=r"output_group_size .5. is larger than the number of images .4."):
        select(5, Edges(), folder=["cats"])


def test_a_score_that_is_not_finite_names_the_file(host_folders):
    class Undecided(Bright):
        def score(self, pool):
            return super().score(pool).where(pool.images[:, 0, 0, 0] > 0.9, float("nan"))

    white = np.full((8, 8, 3), 255, np.uint8)
    save(host_folders / "input" / "cats", [white, white // 2, white])
    report = select(2, Edges(), Undecided(), folder=["cats"])[3]
    assert "Image 1 (counted from 0), 001.png, was left out: its score is not finite." in report["warnings"]


@pytest.mark.parametrize(("pairwise", "sentence"), [
    (Ssim, "The scorer structure ssim sees all pictures at once, and 5 of different sizes are too many for that .up to 4 are not.: choose"),
    (lambda: DifferentFrom(Ssim(), torch.rand(1, 8, 8, 3)), "sees all pictures at once"),
    (LatentDistance, "The scorer latent compares latents, and these pictures have none"),
    (lambda: Motion(type("Backbone", (), {"model_type": "any"})()), "there is only one frame of each"),
    (Bright, "The input pairwise got the unary scorer bright"),
    (lambda: DifferentFrom(Edges(), latents=torch.zeros(1, 4, 8, 8)), "The scorer structure edges failed: it compares pictures, and a Different From has none"),
])  # fmt: skip
def test_scorers_that_cannot_look_at_one_at_a_time_are_refused(host_folders, monkeypatch, pairwise, sentence):
    monkeypatch.setattr(ask, "MOST_AT_ONCE", 4)
    monkeypatch.setattr(ask, "CHUNK", 2)
    save(host_folders / "input" / "cats", drawn(5))
    looked, thumbnail = [], pictures._thumbnail
    monkeypatch.setattr(pictures, "_thumbnail", lambda path: looked.append(path) or thumbnail(path))
    with pytest.raises(ValueError, match=sentence):
        select(2, pairwise(), folder=["cats"])
    assert len(looked) <= 2


def test_rows_that_do_not_fit_the_memory_are_refused_after_a_few_pictures(host_folders, monkeypatch):
    class Patches(Edges):
        name = "dinov2 patches"

        def rows(self, pool):
            return torch.zeros(len(pool.images), 200_000)

    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda device: 2**26)
    save(host_folders / "input" / "cats", drawn(80))
    looked, thumbnail = [], pictures._thumbnail
    monkeypatch.setattr(pictures, "_thumbnail", lambda path: looked.append(path) or thumbnail(path))
    sentence = "To compare 80 pictures the scorer dinov2 patches needs 0.1 GB and the selection 0.0 GB, but 0.1 GB of memory are free: .* the class token of dinov2"
    with pytest.raises(ValueError, match=sentence):
        select(2, Patches(), folder=["cats"])
    assert len(looked) == ask.CHUNK
    assert len(select(2, Edges(), folder=["cats"])[2]) == 2


def test_another_packs_rows_are_looked_at(host_folders):
    class Odd(Edges):
        name = "odd"

        def __init__(self, *shape):
            self.shape = shape

        def rows(self, pool):
            return torch.zeros(self.shape)

    class Half(Edges):
        name = "half"

        def between(self, rows):
            return torch.zeros(1, 1)

    save(host_folders / "input" / "cats", drawn(3))
    for shape in ((3,), (2, 5), (3, 2, 2), ()):
        with pytest.raises(ValueError, match=r"The scorer odd has rows of the shape .* for 3 pictures, not of \[3, D\] with one D"):
            select(2, Odd(*shape), folder=["cats"])
    with pytest.raises(ValueError, match=r"The scorer half answered with numbers of the shape \(1, 1\) instead of \(3, 3\)"):
        select(2, Half(), folder=["cats"])


def test_progress_and_interrupt(host_folders, monkeypatch):
    save(host_folders / "input" / "cats", drawn(20))
    told = []
    monkeypatch.setattr("comfy.utils.PROGRESS_BAR_HOOK", lambda value, total, preview, node_id=None: told.append((value, total)))
    select(2, Edges(), folder=["cats"])
    assert told[0] == (1, 20) and told[-1] == (20, 20)
    thumbnail, looked = pictures._thumbnail, []

    def interrupted(path):
        looked.append(path)
        if len(looked) == 5:
            comfy.model_management.interrupt_current_processing()
        return thumbnail(path)

    monkeypatch.setattr(pictures, "_thumbnail", interrupted)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        select(2, Edges(), folder=["cats"])
    assert len(looked) == 5


def test_other_files_are_another_input(host_folders):
    folder = host_folders / "input" / "cats"
    save(folder, drawn(3))
    seen = [QIPSelector.fingerprint_inputs(folder=["cats"], lambda_score=[1.0])] * 2
    assert seen[0] == QIPSelector.fingerprint_inputs(folder=["cats"])
    save(folder, drawn(3, seed=1, width=30))
    seen.append(QIPSelector.fingerprint_inputs(folder=["cats"]))
    (folder / "000.png").unlink()
    seen.append(QIPSelector.fingerprint_inputs(folder=["cats"]))
    assert len(set(seen)) == 3
    assert QIPSelector.fingerprint_inputs() == QIPSelector.fingerprint_inputs(folder=[""])
    assert QIPSelector.fingerprint_inputs(folder=["none"]) == QIPSelector.fingerprint_inputs(folder=[None]) == ""


def grey(*levels):
    return torch.stack([torch.full((8, 8, 3), float(v)) for v in levels])


def test_images_are_called_by_their_seeds_where_these_are_connected():
    images = grey(0.1, 0.9, 0.5, 0.8)
    *_, indices, report, rejected, others, seeds, said = select(2, unary=Bright(), images=[images], seeds=[40, 2**64 - 1, 7, 8])
    assert indices == [1, 3] and seeds == report["seeds"] == report["rounds"][0]["kept"] == [2**64 - 1, 8] and others == [0, 2]
    assert report["rounds"][0]["seeds"] == [40, 2**64 - 1, 7, 8] and said[0] == f"2 of 4 images, seeds {2**64 - 1}, 8."
    floored = select(2, unary=QualityFloor(Bright(), 0.2), images=[images], seeds=[[40, 6, 7, 8]])
    assert "The image with seed 40 was left out: it is below the quality floor." in floored[3]["warnings"]
    nameless = select(2, unary=Bright(), images=[images])
    assert isinstance(nameless[6], ExecutionBlocker) and "connect its seeds input" in nameless[6].message
    everybody = select(4, unary=Bright(), images=[images])
    assert all(isinstance(everybody[i], ExecutionBlocker) and everybody[i].message is None for i in (4, 5))


@pytest.mark.parametrize(("inputs", "sentence"), [
    ({"seeds": [1, 2, 3]}, "seeds must be one for each of the 2 images, all different, and here are 3, 3 of them different"),
    ({"seeds": [7, 7]}, "here are 2, 1 of them different"),
    ({"seeds": [1, -1]}, "seed is -1, but must be a whole number"),
    ({"seeds": [{"samples": torch.zeros(9, 9)}, 1]}, "seeds must hold whole numbers only, and holds a dict"),
    ({"folder": ["cats"]}, "Both image and folder are given"),
    ({"folder": [3]}, "folder must be one text, but it is a int"),
    ({"folder": ["cats", "dogs"]}, "folder must be one text, but it is a list"),
    ({"images": ()}, "connect the input image, or name a folder"),
    ({"images": (), "folder": ["cats"], "latent": [{"samples": torch.zeros(2, 4, 1, 1)}]}, "latent belongs to connected images, and folder is given"),
    ({"images": (), "folder": ["cats"], "seeds": [1, 2]}, "seeds belongs to connected images"),
    ({"images": (), "folder": ["cats"], "scores": [1.0, 2.0]}, "scores belongs to connected images"),
    ({"images": (), "folder": ["empty"]}, "holds no pictures: name another folder"),
    ({"images": (), "folder": ["texts"]}, "holds no pictures: name another folder"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused_in_one_sentence(host_folders, inputs, sentence):
    save(host_folders / "input" / "cats", drawn(2))
    (host_folders / "input" / "empty").mkdir()
    (host_folders / "input" / "texts").mkdir()
    (host_folders / "input" / "texts" / "a.txt").write_text("no picture")
    with pytest.raises(ValueError, match=sentence) as error:
        select(1, unary=Bright(), **{"images": [grey(0, 1)], **inputs})
    assert "\n" not in str(error.value)
