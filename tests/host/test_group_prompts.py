"""Group Prompts: every survivor is what the stock KSampler gives with its seed and a CLIPTextEncode of its line, whatever lies between."""

import architectures
import comfy.hooks
import comfy.model_management
import comfy.samplers
import comfy.sd
import comfy.utils
import contract
import node_helpers
import nodes
import pytest
import tiny
import torch
from comfy_extras import nodes_custom_sampler, nodes_hooks
from comfy_extras.nodes_edit_model import ReferenceLatent
from comfy_extras.nodes_flux import FluxGuidance
from contract import TOLERANCE
from controlnets import unet
from group_inference.garden.loader import HABITS, WEIGHTS, load_garden
from group_inference.nodes import group_ksampler
from group_inference.nodes.group_sampler import GroupSamplerNode
from group_inference.sampling import kept
from group_inference.sampling.variants import alone, marked
from group_inference.scorers.latent import LatentDistance
from prompts import LINES, SEED, Chunks, Words, assert_each_is_its_lines, grouped, line_of, stock_prompt

NAMES = [
    "SD 1.5",
    "SDXL",
    "SD3",
    "FLUX.1 Dev",
    "FLUX.1 Kontext",
    "Qwen-Image",
    "Z-Image",
    "unCLIP",
    "Wan image to video",
    "LTX",
    "LTX with sound",
]


@pytest.mark.parametrize("name", NAMES)
def test_each_survivor_is_its_lines(name):
    """The first and the last line are of one length, and the one between is longer."""
    model = architectures.build(name)
    negative = architectures.text(name, 2)
    report = assert_each_is_its_lines(model, architectures.latent(name, model), lambda p: (p, negative), (Words(name), LINES))
    assert report["warnings"] == []


@pytest.mark.parametrize("sampler_name", ["euler_ancestral", "dpmpp_2m_sde", "dpmpp_sde", "uni_pc", "euler_cfg_pp"])
def test_any_sampler(eps_model, sampler_name):
    both = lambda positive: (positive, tiny.text(2))
    assert_each_is_its_lines(eps_model, tiny.empty_latent(eps_model), both, (Words(), LINES), sampler_name=sampler_name)


@pytest.mark.parametrize("cfg", [1.0, 4.0])
@pytest.mark.parametrize("lines", [LINES[:1], ["ugly", "a blurred picture of something"], ["ugly", "bad", "dull", "old and grey"]])
def test_negative_prompts_of_their_own(flow_model, lines, cfg):
    name = "FLUX.1 Schnell"
    both = lambda positive, negative: (positive, negative)
    assert_each_is_its_lines(flow_model, tiny.empty_latent(flow_model), both, (Words(name), LINES), (Words(name), lines), cfg=cfg)


def test_a_negative_alone_has_variants(flow_model):
    assert_each_is_its_lines(
        flow_model, tiny.empty_latent(flow_model), lambda negative: (tiny.text(1), negative), (Words("FLUX.1 Schnell"), LINES)
    )


def test_a_latent_batch_with_rows_of_its_own(eps_model):
    """Row r of the latent and the line at r modulo the number of lines; masks too."""
    latent = {**tiny.picture_latent(eps_model, 6), "noise_mask": torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(9)).round()}
    got, report = tiny.group(eps_model, SEED, latent, positive=grouped(Words(), LINES), size=5, ratio=0.1, denoise=0.8)
    for i, seed in enumerate(report["seeds"]):
        at = slice(seed - SEED, seed - SEED + 1)
        own = {key: value[at] for key, value in latent.items()}
        alone = tiny.stock(eps_model, seed, own, stock_prompt(Words(), line_of(LINES, seed)), denoise=0.8)
        assert tiny.relative_error(got["samples"][i : i + 1], alone) < TOLERANCE


def test_variants_are_no_rows(eps_model):
    """A batch of the same rows stays one latent, whose candidates are as many as the settings say."""
    _, report = tiny.group(eps_model, SEED, tiny.empty_latent(eps_model, 4), 6, 2, grouped(Words(), LINES))
    assert report["settings"]["starting_candidates"] == 6 and "All 4 rows of the latent are the same" in report["notes"][0]
    assert report["warnings"] == []


def area(conditioning, *size, **more):
    return node_helpers.conditioning_set_values(conditioning, {"area": size, "strength": 0.8, "set_area_to_bounds": False, **more})


MASK = (torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(1)) > 0.5).float()
NET = unet(architectures.UNET)
HINT = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(3))
OTHER = tiny.text(5)


def masked(conditioning, bounds):
    return nodes.ConditioningSetMask().append(conditioning, MASK, "mask bounds" if bounds else "default", 0.7)[0]


def controlled(conditioning):
    """By the host's first node for it, whose control the negative gets too."""
    return nodes.ControlNetApply().apply_controlnet(conditioning, NET, HINT, 0.8)[0]


# What users put between, on SD 1.5: prompt and second prompt -> positive, negative
BETWEEN = {
    "a range of steps": lambda p, q: (nodes.ConditioningSetTimestepRange().set_range(p, 0.0, 0.5)[0] + OTHER, q),
    "combined": lambda p, q: (nodes.ConditioningCombine().combine(p, q)[0], tiny.text(2)),
    "combined with one": lambda p, q: (nodes.ConditioningCombine().combine(OTHER, p)[0], q),
    "concatenated": lambda p, q: (nodes.ConditioningConcat().concat(p, OTHER)[0], q),
    "averaged": lambda p, q: (nodes.ConditioningAverage().addWeighted(p, OTHER, 0.6)[0], q),
    "a negative of zeros": lambda p, q: (p, nodes.ConditioningZeroOut().zero_out(p)[0]),
    "an area": lambda p, q: (area(p, 4, 4, 0, 4) + OTHER, tiny.text(2)),
    "areas, the negative with variants": lambda p, q: (area(p, 4, 4, 0, 4) + area(OTHER, 4, 8, 4, 0) + OTHER, q),
    "an area of the negative": lambda p, q: (p, area(q, 4, 4, 0, 4) + tiny.text(2)),
    "an area of none": lambda p, q: (area(OTHER, 4, 4, 0, 4) + p, q),
    "a mask": lambda p, q: (masked(p, False) + OTHER, q),
    "a mask with bounds": lambda p, q: (masked(p, True) + OTHER, q),
    "a control of both": lambda p, q: nodes.ControlNetApplyAdvanced().apply_controlnet(p, q, NET, HINT, 0.8, 0.0, 0.7),
    "a control that the negative gets too": lambda p, q: (controlled(p), tiny.text(2)),
    "a control that a negative with variants gets too": lambda p, q: (controlled(p), q),
    "a control of a part": lambda p, q: (controlled(p) + OTHER, q),
    "a control that more prompts of the negative get too": lambda p, q: (controlled(q), p),
    "another control for each": lambda p, q: (controlled(p) + nodes.ControlNetApply().apply_controlnet(OTHER, NET, 1 - HINT, 0.5)[0], q),
}  # fmt: skip


@pytest.mark.parametrize("between", BETWEEN.values(), ids=BETWEEN)
def test_whatever_nodes_do_between(eps_model, between):
    with torch.inference_mode():
        assert_each_is_its_lines(eps_model, tiny.empty_latent(eps_model), between, (Words(), LINES), (Words(), ["ugly", "bad and dull"]))


@pytest.mark.parametrize("change", [
    lambda p, q: (FluxGuidance.execute(p, 2.0)[0], q),
    lambda p, q: (ReferenceLatent.execute(p, {"samples": torch.ones(1, 16, 8, 6)})[0], q),
], ids=["guidance", "a reference"])  # fmt: skip
def test_guidance_and_references(change):
    name = "FLUX.1 Dev"
    model = architectures.build(name)
    assert_each_is_its_lines(model, tiny.empty_latent(model), change, (Words(name), LINES), (Words(name), ["ugly", "bad and dull"]))


def test_inpainting():
    name = "SD 1.5 inpainting"
    model, vae, pixels = architectures.build(name), tiny.small_vae(4), HINT
    between = lambda p, q: nodes.InpaintModelConditioning().encode(p, q, pixels, vae, MASK)[:2]
    with torch.inference_mode():
        assert_each_is_its_lines(model, tiny.empty_latent(model), between, (Words(name), LINES), (Words(name), ["ugly", "bad and dull"]))


GUIDERS = {
    "basic": lambda model, p, q: nodes_custom_sampler.BasicGuider.execute(model, p),
    "dual cfg": lambda model, p, q: nodes_custom_sampler.DualCFGGuider.execute(model, tiny.text(1), p, q, 3.0, 2.0, "regular"),
}
if hasattr(nodes_custom_sampler, "DualModelGuider"):  # ComfyUI 0.18.2 has none
    GUIDERS["dual model"] = lambda model, p, q: nodes_custom_sampler.DualModelGuider.execute(model, p, 4.0, model.clone(), q)


@pytest.mark.parametrize("name", GUIDERS)
def test_any_guider(flow_model, name):
    clip, negatives = Words("FLUX.1 Schnell"), ["ugly", "bad and dull"]
    sigmas = comfy.samplers.calculate_sigmas(flow_model.get_model_object("model_sampling"), "normal", 5)
    guider = lambda positive, negative: GUIDERS[name](flow_model, positive, negative).args[0]
    euler = comfy.samplers.sampler_object("euler")
    group = GroupSamplerNode.execute(euler, 6, 5, 0.1, pairwise=LatentDistance()).args[0]
    whole = guider(grouped(clip, LINES), grouped(clip, negatives))
    got = contract.custom_sampling(whole, group, sigmas, SEED, tiny.empty_latent(flow_model))[0]
    for row, seed in zip(got, group.last_run.seeds, strict=True):
        own = guider(stock_prompt(clip, line_of(LINES, seed)), stock_prompt(clip, line_of(negatives, seed)))
        alone = contract.custom_sampling(own, euler, sigmas, seed, tiny.empty_latent(flow_model))[0]
        assert tiny.relative_error(row[None], alone) < TOLERANCE


@pytest.fixture
def calls(eps_model, monkeypatch):
    """The rows of each real model call, half of them with the prompt."""
    rows, forward = [], eps_model.model.apply_model
    monkeypatch.setattr(
        eps_model.model, "apply_model", lambda x, *args, **kwargs: (rows.append(x.shape[0]), forward(x, *args, **kwargs))[1]
    )
    return rows


@pytest.mark.parametrize(("lines", "expected"), [(["a fox", "a hare", "red tulips"], [12]), (LINES, [8, 4])])
def test_lines_of_one_length_share_a_call(eps_model, calls, lines, expected):
    _, report = tiny.group(eps_model, SEED, tiny.empty_latent(eps_model), 6, 6, grouped(Chunks(), lines), steps=2)
    looked = 2 * report["check_rows"]
    assert sum(calls) == 2 * 12 + looked and calls[-len(expected) :] == expected
    assert report["model_rows"] == 12


def test_slices_of_candidates(eps_model, calls, monkeypatch):
    fits = 2.5 * 1.5 * eps_model.model.memory_required([2, 4, 8, 8])
    monkeypatch.setattr(eps_model, "get_free_memory", lambda device: fits)
    both = lambda positive: (positive, tiny.text(2))
    assert_each_is_its_lines(eps_model, tiny.empty_latent(eps_model), both, (Chunks(), LINES))
    assert max(calls) == 4


def hooked(hooks):
    """A CLIP of the node Set CLIP Hooks, which puts the hooks on the prompts that it encodes."""
    clip = Words()
    clip.options = {**clip.options, "hooks": hooks}
    return clip


def test_strengths_of_a_lora(eps_model):
    """Variants that differ in the strength alone, positive and negative: what Load LoRA with that strength gives."""
    strengths, latent, found = (1.0, 0.3, 0.0), tiny.empty_latent(eps_model), {}
    weight = eps_model.model.state_dict()["diffusion_model.out.2.weight"]
    change = {"diffusion_model.out.2.weight": ("diff", (0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)),))}
    hooks = [comfy.hooks.create_hook_lora(change, strength, 0.0) for strength in strengths[:2]]
    for group in hooks:
        group.hooks[0].need_weight_init = False
    joined = lambda line: grouped(hooked(hooks[0]), [line], grouped(hooked(hooks[1]), [line], grouped(Words(), [line])))
    got, report = tiny.group(eps_model, SEED, latent, 6, 5, joined(LINES[0]), joined("ugly"), ratio=0.1)
    for row, seed in zip(got["samples"], report["seeds"], strict=True):
        for strength in strengths:
            patched = eps_model.clone()
            patched.add_patches(change, strength)
            alone = tiny.stock(patched, seed, latent, stock_prompt(Words(), LINES[0]), stock_prompt(Words(), "ugly"))
            found[seed, strength] = tiny.relative_error(row[None], alone) < TOLERANCE
    assert found == {(seed, s): s == strengths[(seed - SEED) % 3] for seed in report["seeds"] for s in strengths}
    assert report["model_rows"] == 5 * 6 + 6 * 1 and report["warnings"] == []


def test_strengths_of_a_lora_by_the_hosts_nodes(monkeypatch):
    """With a real text encoder, on the garden, whose habits are a LoRA; also where a pause had all models unloaded."""
    model, clip, _ = load_garden()
    lora = comfy.utils.load_torch_file(str(WEIGHTS / HABITS), safe_load=True)
    strengths, latent = (1.0, 0.3), tiny.empty_latent(model)
    with tiny.as_file("loras", lora) as name:
        hooks = [nodes_hooks.CreateHookLoraModelOnly().create_hook_model_only(name, strength)[0] for strength in strengths]
    first, second = (nodes_hooks.SetClipHooks().apply_hooks(clip, False, True, group)[0] for group in hooks)
    joined = lambda line: grouped(first, [line], grouped(second, [line]))
    prompts = joined("red tulips"), joined("a vase")
    got, report = tiny.group(model, SEED, latent, 4, 3, *prompts, ratio=0.1, scheduler="simple")
    kept.STORE.clear()
    monkeypatch.setattr(group_ksampler, "ask", lambda record, now, check: [comfy.model_management.unload_all_models(), now][1])
    paused, _ = tiny.group(model, SEED, latent, 4, 3, *prompts, ratio=0.1, scheduler="simple", pause_at=0.2)
    assert tiny.relative_error(paused["samples"], got["samples"]) < TOLERANCE
    for row, seed in zip(got["samples"], report["seeds"], strict=True):
        same = []
        for strength in strengths:
            patched, _ = comfy.sd.load_lora_for_models(model, None, lora, strength, 0.0)
            prompts = stock_prompt(clip, "red tulips"), stock_prompt(clip, "a vase")
            same.append(tiny.relative_error(row[None], tiny.stock(patched, seed, latent, *prompts, scheduler="simple")) < TOLERANCE)
        assert same == [(seed - SEED) % 2 == i for i in range(2)]


def test_more_are_further_variants(eps_model):
    """Those of another Group Prompts, which has an ordinary conditioning behind it, combined with a regional prompt."""
    clip, latent = Words(), tiny.empty_latent(eps_model)
    other = nodes.ConditioningCombine().combine(grouped(clip, LINES[1:], stock_prompt(clip, "a hare")), area(OTHER, 4, 4, 0, 4))[0]
    whole = grouped(clip, LINES[:1], other)
    assert [options["group_variant"][:2] for _, options in whole] == [(0, 4), (1, 4), (1, 4), (2, 4), (2, 4), (3, 4), (3, 4)]
    got, report = tiny.group(eps_model, SEED, latent, 6, 5, whole, ratio=0.1)
    for row, seed in zip(got["samples"], report["seeds"], strict=True):
        number = (seed - SEED) % 4
        own = stock_prompt(clip, [*LINES, "a hare"][number]) + (area(OTHER, 4, 4, 0, 4) if number else [])
        assert tiny.relative_error(row[None], tiny.stock(eps_model, seed, latent, own)) < TOLERANCE


def test_what_a_text_box_gives_the_negative(eps_model):
    """Of GLIGEN, for which there is no tiny model: each candidate's negative gets what its own prompt has, as the host does it."""
    noise, boxes = torch.zeros(1, 4, 8, 8), [("position", object(), []) for _ in range(2)]
    both = marked([node_helpers.conditioning_set_values(tiny.text(i), {"gligen": box}) for i, box in enumerate(boxes)], ["one", "two"])
    guider = comfy.samplers.CFGGuider(eps_model)
    guider.set_conds(both, tiny.text(2))
    process = lambda conds: comfy.samplers.process_conds(eps_model.model, noise, conds, noise.device, noise)
    guider.conds = process({kind: list(entries) for kind, entries in guider.original_conds.items()})
    for number, box in enumerate(boxes):
        own = alone(guider, guider.conds, number)
        assert [c["gligen"] for c in own["positive"] + own["negative"]] == [box, box]
