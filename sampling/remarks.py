"""What a run says of its inputs before it begins, where a user may have meant something else."""

import torch


def notes(group, plan, ground):
    """How the inputs were taken."""
    found, rows, given = [], ground.rows, len(ground.latent_image)
    if rows > 1:
        found.append(f"The {rows} rows of the latent are not the same, so each is a candidate.")
    elif given > 1:
        found.append(f"All {given} rows of the latent are the same, so it counts as one.")
    if plan.looks and not group.connected:
        found.append("No scorers are connected, so candidates are told apart by their latents alone.")
    if group.pause.at and not plan.looks:
        found.append(f"There is no look to pause at: all {plan.start} candidates are in the group.")
    return found


def warnings(group, ground):
    """What cannot go with each candidate."""
    rows, denoise_mask = ground.rows, ground.denoise_mask
    prompts = max((len(c["cross_attn"]) for c in ground.conditioning if c.get("cross_attn") is not None), default=1)
    found = []
    if prompts > 1 and rows == 1:
        found.append(
            f"The conditioning holds {prompts} prompts but the latent has one row: every candidate uses the first prompt, as it would alone. For a prompt each, connect a latent batch of {prompts} (Repeat Latent Batch)."
        )
    if group.ends_with_batch and denoise_mask is not None and not torch.equal(denoise_mask, denoise_mask[:1].expand_as(denoise_mask)):
        found.append(
            "Each row of the latent has its own mask, and the sampling node's LATENT still carries them in the rows' order, not in the group's: to sample on, take the LATENT of Group Report."
        )
    return found
