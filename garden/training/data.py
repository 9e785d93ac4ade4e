"""The data set: scenes drawn once from a seed and kept as one array file."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from ..scenes import Scene, random_scene, render

CHUNK = 500


@dataclass
class Scenes:
    """pictures uint8 [N, 64, 64, 3]; attributes int64 [N, 4] in the order of scenes.ATTRIBUTES."""

    pictures: np.ndarray
    attributes: np.ndarray

    def __len__(self):
        return len(self.pictures)

    def scene(self, i):
        return Scene(*self.attributes[i].tolist())

    def where(self, condition):
        """Those scenes that fulfil condition(scene)."""
        rows = [i for i in range(len(self)) if condition(self.scene(i))]
        return Scenes(self.pictures[rows], self.attributes[rows])

    def batch(self, rows, device):
        """Pictures of some rows as float [B, 3, 64, 64] in 0..1."""
        return torch.from_numpy(self.pictures[rows]).to(device).movedim(-1, 1).float() / 255


def _chunk(seed):
    rng = np.random.default_rng(seed)
    scenes = [random_scene(rng) for _ in range(CHUNK)]
    return np.stack([render(s, rng) for s in scenes]), np.array([tuple(s) for s in scenes])


def draw_scenes(name, count, seed, build):
    """`count` scenes from `seed`, drawn by all cores the first time and read from `build` afterwards."""
    path = build / f"{name}.npz"
    if not path.exists():
        seeds = [[seed, i] for i in range(-(-count // CHUNK))]
        with ProcessPoolExecutor() as pool:
            chunks = list(tqdm(pool.map(_chunk, seeds), total=len(seeds), desc=f"drawing {name}"))
        part = build / f"{name}.part.npz"
        np.savez(part, pictures=np.concatenate([c[0] for c in chunks])[:count], attributes=np.concatenate([c[1] for c in chunks])[:count])
        part.replace(path)
    with np.load(path) as saved:
        return Scenes(saved["pictures"], saved["attributes"])
