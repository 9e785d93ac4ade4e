"""Noise to latents: candidates, survivor schedule, x0 previews and the group loop. Knows the host."""
