"""Editing, inpainting and picture prompts through the host's own nodes: the contract, for one candidate's input and a batch of them."""

import architectures
import comfy.ldm.flux.redux
import comfy.sd
import comfy.supported_models as models
import contract
import controlnets
import nodes
import pytest
import tiny
import torch
from comfy_extras.nodes_differential_diffusion import DifferentialDiffusion
from comfy_extras.nodes_edit_model import ReferenceLatent
from comfy_extras.nodes_flux import FluxKontextMultiReferenceLatentMethod
from comfy_extras.nodes_ip2p import InstructPixToPixConditioning

PICTURES = torch.rand(3, 64, 64, 3, generator=torch.Generator().manual_seed(3))
# From nothing on the left to all on the right, other steepness in each row.
MASKS = torch.linspace(0, 1, 64).expand(3, 64, 64) ** torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1)


def random(*shape, seed=8):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def prompts(name):
    return architectures.text(name, 1), architectures.text(name, 2)


def references(name, *shapes, method=None, latent=(16, 8, 8)):
    """Inputs with reference latents by ReferenceLatent, one node each: a row's own where there are several rows."""

    def inputs(at):
        positive, negative = prompts(name)
        for i, shape in enumerate(shapes):
            positive = ReferenceLatent.execute(positive, {"samples": random(3, *shape, seed=i)[at]})[0]
        if method:
            positive = FluxKontextMultiReferenceLatentMethod.execute(positive, method)[0]
        return {"samples": random(3, *latent)[at]}, positive, negative

    return inputs


def edited(name, channels):
    """Inputs by InstructPixToPixConditioning."""
    vae = tiny.small_vae(channels)

    def inputs(at):
        with torch.inference_mode():
            positive, negative, latent = InstructPixToPixConditioning.execute(*prompts(name), PICTURES[at], vae).args
        return latent, positive, negative

    return inputs


def inpainted(name, channels):
    """Inputs by InpaintModelConditioning, noise mask included."""
    vae = tiny.small_vae(channels)

    def inputs(at):
        with torch.inference_mode():
            positive, negative, latent = nodes.InpaintModelConditioning().encode(*prompts(name), PICTURES[at], vae, MASKS[at])
        return latent, positive, negative

    return inputs


class VisionOutput:
    """What CLIPVisionEncode gives, with 4 patches of 24 numbers."""

    def __init__(self, seed):
        self.last_hidden_state = random(1, 4, 24, seed=seed)


def redux(strength, kind):
    """Inputs by StyleModelApply. The host reads all rows of a vision output as one picture prompt, so a batch has one each."""
    style = comfy.sd.StyleModel(tiny.random_weights(comfy.ldm.flux.redux.ReduxImageEncoder(24, tiny.WIDTH)))

    def inputs(at):
        with torch.inference_mode():
            applied = [
                nodes.StyleModelApply().apply_stylemodel(architectures.text("FLUX.1 Dev", 1), style, VisionOutput(i), strength, kind)[0]
                for i in range(3)
            ][at]
        ((_, options), *_) = applied[0]
        stacked = {key: torch.cat([prompt[0][1][key] for prompt in applied]) for key, value in options.items() if torch.is_tensor(value)}
        positive = [[torch.cat([prompt[0][0] for prompt in applied]), {**options, **stacked}]]
        return {"samples": random(3, 16, 8, 8)[at]}, positive, architectures.text("FLUX.1 Dev", 2)

    return inputs


def control_lora():
    """FLUX.1 Dev with such a LoRA, by the host's loader."""
    with tiny.as_file("loras", controlnets.lora()) as file:
        return nodes.LoraLoaderModelOnly().load_lora_model_only(architectures.build("FLUX.1 Dev"), file, 1.0)[0]


def klein():
    return tiny.patcher(models.Flux2({**architectures.FLUX2, "guidance_embed": False}))


def on(name):
    return lambda: architectures.build(name)


METHODS = [None, *FluxKontextMultiReferenceLatentMethod.define_schema().inputs[1].options]
TWO = ((16, 8, 6), (16, 4, 8))
# The host knows this one only in a FLUX without guidance and pooled text, which is FLUX.2 klein.
TIMESTEP_ZERO = "index_timestep_zero"
# name: (the model, its inputs: slice of 3 rows -> latent, positive, negative)
CASES = {
    **{f"FLUX.1 Kontext, {m}": (on("FLUX.1 Dev"), references("FLUX.1 Dev", *TWO, method=m)) for m in METHODS if m != TIMESTEP_ZERO},
    "FLUX.2": (on("FLUX.2"), references("FLUX.2", (128, 8, 6), latent=(128, 8, 8))),
    f"FLUX.2 klein, {TIMESTEP_ZERO}": (klein, references("FLUX.2", (128, 8, 6), method=TIMESTEP_ZERO, latent=(128, 8, 8))),
    **{f"Qwen-Image-Edit, {m}": (on("Qwen-Image"), references("Qwen-Image", (16, 1, 8, 6), method=m, latent=(16, 1, 8, 8))) for m in METHODS},
    "instruct-pix2pix": (on("instruct-pix2pix"), edited("instruct-pix2pix", 4)),
    "FLUX.1 Depth": (on("FLUX.1 Depth"), edited("FLUX.1 Depth", 16)),
    "FLUX.1 Depth as a LoRA": (control_lora, edited("FLUX.1 Dev", 16)),
    "FLUX.1 Fill": (on("FLUX.1 Fill"), inpainted("FLUX.1 Fill", 16)),
    "SD 1.5 inpainting": (on("SD 1.5 inpainting"), inpainted("SD 1.5 inpainting", 4)),
    "differential diffusion": (lambda: DifferentialDiffusion.execute(architectures.build("SD 1.5"))[0], inpainted("SD 1.5", 4)),
    "FLUX.1 Redux": (on("FLUX.1 Dev"), redux(0.7, "multiply")),
    "FLUX.1 Redux by attention": (on("FLUX.1 Dev"), redux(0.7, "attn_bias")),
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def case(request):
    model, inputs = CASES[request.param]
    return model(), inputs


def test_survivors_equal_stock_runs(case):
    model, inputs = case
    assert contract.assert_survivors_equal_stock(model, *inputs(slice(0, 1)))["warnings"] == []


def test_each_row_has_its_own(case):
    model, inputs = case
    contract.assert_rows_equal_stock(model, inputs)


def test_what_the_nodes_give_matters(case):
    """Else the two above would hold for a model that never saw it."""
    model, inputs = case
    (latent, *first), (other, *second) = inputs(slice(0, 1)), inputs(slice(1, 2))
    if "noise_mask" in latent:
        second, latent, other = first, latent, {**latent, "noise_mask": other["noise_mask"]}
    else:
        other = latent
    one, two = tiny.stock(model, 7, latent, *first), tiny.stock(model, 7, other, *second)
    assert tiny.relative_error(one, two) > 10 * contract.TOLERANCE


def test_interruption_halfway_leaves_everything_usable(case, monkeypatch):
    model, inputs = case
    contract.assert_interruption_is_harmless(model, *inputs(slice(0, 1)), monkeypatch)
