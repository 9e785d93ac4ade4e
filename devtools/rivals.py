"""What people use instead for more variety, each after its source, as patches of the host's model. None of them selects.

Noise levels of the sources are those of Karras et al., s = noise / signal (arXiv 2206.00364); a flow model's sigma t is s / (1 + s).
"""

import math
from dataclasses import dataclass

import torch

# Largest s of Stable Diffusion, for which particle guidance was made; flow models begin at infinity.
MOST_NOISE = 14.6
# Numbers in a latent of Stable Diffusion: a potential's gradient falls with them.
NUMBERS = 16384


@dataclass(frozen=True)
class Rival:
    """patched(model) -> model; guidance: another one than the setting's; share: of the setting's model evaluations that it takes;
    together: whether the pictures of a group depend on each other, so that every group size is a run of its own."""

    name: str
    patched: object = lambda model: model
    guidance: float | None = None
    share: float = 1.0
    together: bool = False


def rivals(setting, sigmas):
    """Those that differ from plain sampling at this setting. sigmas: of the model's calls."""
    found = [Rival(f"CADS, s {s:g}", lambda model, s=s: cads(model, s)) for s in (0.1, 0.25, 0.5)]
    found.append(Rival("CADS, s 0.25, psi 0", lambda model: cads(model, 0.25, psi=0.0)))
    found += [Rival(f"particle guidance {c:g}", lambda model, c=c: particle_guidance(model, c), together=True) for c in (30, 150, 600)]
    if setting.guidance <= 1:
        return found
    for low, high in ((0.19, 1.61), (0.28, 5.42)):
        guided = sum(low < s <= high for s in (noise_to_signal(float(sigma)) for sigma in sigmas))
        share = (1 + guided / len(sigmas)) / 2  # outside only one of the two evaluations is needed
        patched = lambda model, low=low, high=high: guidance_interval(model, low, high)
        found.append(Rival(f"guidance interval {low:g}..{high:g}", patched, share=share))
    lower = sorted({1.0, round((setting.guidance + 2) / 3, 2), round((setting.guidance + 1) / 2, 2)})
    return found + [Rival(f"guidance {g:g}", guidance=g, share=0.5 if g == 1 else 1.0) for g in lower]


def noise_to_signal(t):
    return t / (1 - t) if t < 1 else math.inf


def guidance_interval(model, low, high):
    """Guidance for noise levels in (low, high] alone: Kynkaanniemi et al., "Applying Guidance in a Limited Interval", arXiv
    2404.07724; there .19..1.61 for EDM2-XXL and .28..5.42 for SD-XL."""

    def guided(args):
        scale = args["cond_scale"] if low < noise_to_signal(float(args["sigma"].flatten()[0])) <= high else 1.0
        return args["uncond"] + scale * (args["cond"] - args["uncond"])

    model = model.clone()
    model.set_model_sampler_cfg_function(guided)
    return model


def cads(model, s, early=0.9, late=0.6, psi=1.0):
    """Condition annealing: Sadat et al., "CADS", arXiv 2310.17347, eq. 2 to 4, with its tau1 = .6, tau2 = .9 and psi = 1. The prompt's
    hidden states and pooled vector become sqrt(gamma) y + s sqrt(1 - gamma) n, scaled back to y's mean and deviation; gamma rises
    from 0 at t = .9 to 1 at t = .6. n is drawn anew for every call and picture. psi = 0, s = .25 are the defaults of ComfyUI-CADS."""
    generator = torch.Generator().manual_seed(0)

    def annealed(y, gamma):
        dims = tuple(range(1, y.ndim))
        mean, deviation = y.mean(dims, keepdim=True), y.std(dims, keepdim=True)
        noisy = math.sqrt(gamma) * y + s * math.sqrt(1 - gamma) * torch.randn(y.shape, generator=generator).to(y)
        scaled = (noisy - noisy.mean(dims, keepdim=True)) / noisy.std(dims, keepdim=True) * deviation + mean
        return psi * scaled + (1 - psi) * noisy

    def call(apply_model, args):
        gamma, c = min(1.0, max(0.0, (early - float(args["timestep"].flatten()[0])) / (early - late))), dict(args["c"])
        if gamma < 1:
            for key in ("c_crossattn", "y"):
                parts = c[key].chunk(len(args["cond_or_uncond"]))
                c[key] = torch.cat(
                    [part if empty else annealed(part, gamma) for part, empty in zip(parts, args["cond_or_uncond"], strict=True)]
                )
        return apply_model(args["input"], args["timestep"], **c)

    model = model.clone()
    model.set_model_unet_function_wrapper(call)
    return model


def pink(noise, exponent):
    """Pink initial noise: Harrington et al., "It's Never Too Late", arXiv 2601.00090, there with exponent .2. The host's noise
    [M, ..., H, W], its amplitudes times |f|^-exponent, each candidate scaled to variance 1; the mean counts as the lowest frequency."""
    height, width = noise.shape[-2:]
    f = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
    f[0, 0] = 1 / max(height, width)
    coloured = torch.fft.irfft2(torch.fft.rfft2(noise) * f**-exponent, s=(height, width))
    return coloured / coloured.flatten(1).square().mean(1).sqrt().view(-1, *[1] * (noise.ndim - 1))


def particle_guidance(model, strength):
    """The pictures of a group repel each other: Corso et al., "Particle Guidance", arXiv 2310.13102, with the fixed potential on
    latents of the authors' code (stable_diffusion/.../pipeline_stable_diffusion_particle.py): the predicted noise changes by
    -strength * s * sum_j 2 k_ij (x_i - x_j) / h, k_ij = exp(-|x_i - x_j|^2 / h), h = median |x_i - x_j|^2 / log n, while s > 1.
    Their strength is for latents of 16384 numbers and is scaled to fewer here, so that it means the same per number."""

    def repel(args):
        s, x = noise_to_signal(float(args["sigma"].flatten()[0])), args["input"].flatten(1)
        if s <= 1 or len(x) < 2:
            return args["denoised"]
        squares = torch.cdist(x, x).square()
        h = squares[~torch.eye(len(x), dtype=torch.bool, device=x.device)].view(len(x), -1).median(1, keepdim=True)[0] / math.log(len(x))
        k = torch.exp(-squares / h)
        away = (2 / h) * (k.sum(1, keepdim=True) * x - k @ x)
        # x0 = (x - noise) / signal: s times less noise is s times more picture.
        return args["denoised"] + min(s, MOST_NOISE) ** 2 * strength * x.shape[1] / NUMBERS * away.view_as(args["denoised"])

    model = model.clone()
    model.set_model_sampler_post_cfg_function(repel)
    return model
