"""One resumable training loop for every model of the garden."""

import math
import time

import numpy as np
import torch
from tqdm import tqdm

SECONDS_BETWEEN_CHECKPOINTS = 60


def fit(name, model, loss_of_step, steps, build, seed, device, lr=1e-3, average=0.0):
    """Train `model` in place for `steps` of AdamW (warm-up, cosine decay, gradient norm clipped at 1).

    loss_of_step(rng) -> scalar tensor; rng is a numpy generator seeded by (seed, step), so a resumed run sees what
    an uninterrupted one would have seen. `average` > 0 returns the exponential moving average of the weights.
    A checkpoint under `build` is written every minute; a finished run leaves it there and is not repeated.
    """
    path = build / f"{name}.checkpoint.pt"
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.01)
    warmup = min(300, steps // 10 + 1)
    scale = lambda step: min(1.0, (step + 1) / warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
    averaged = {k: v.detach().clone() for k, v in model.state_dict().items()}
    start = 0
    if path.exists():
        saved = torch.load(path, map_location=device, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        averaged, start = saved["averaged"], saved["step"]

    def save(step):
        part = path.with_suffix(".part")
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
        torch.save({**state, "averaged": averaged, "step": step}, part)
        part.replace(path)

    bar = tqdm(range(start, steps), initial=start, total=steps, desc=name, mininterval=2)
    recent, saved_at = None, time.monotonic()
    for step in bar:
        torch.manual_seed(seed * 1_000_003 + step)
        loss = loss_of_step(np.random.default_rng([seed, step]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        # Early steps are far from the end: a short memory first, the full one later.
        keep = min(average, (1 + step) / (10 + step)) if average else 0.0
        with torch.no_grad():
            for key, value in model.state_dict().items():
                averaged[key].lerp_(value, 1 - keep) if value.is_floating_point() else averaged[key].copy_(value)
        recent = loss.item() if recent is None else 0.98 * recent + 0.02 * loss.item()
        if step % 20 == 0:
            bar.set_postfix(loss=f"{recent:.4f}", refresh=False)
        if time.monotonic() - saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            save(step + 1)
            saved_at = time.monotonic()
    if start < steps:
        save(steps)
    model.load_state_dict(averaged)
    return model.eval()
