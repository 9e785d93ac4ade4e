"""Every node of the host that makes SIGMAS, through SamplerCustomAdvanced. The list is what this host has."""

import importlib
import inspect

import contract
import pytest
import tiny
from comfy_api.latest import io
from comfy_extras.nodes_custom_sampler import CFGGuider

FILES = ["nodes_custom_sampler", "nodes_align_your_steps", "nodes_flux", "nodes_gits", "nodes_optimalsteps", "nodes_lt", "nodes_ideogram4"]
STEPS = 4


def schedulers():
    """Nodes by id, those left out that change the SIGMAS of others."""
    found = {}
    for name in FILES:
        if importlib.util.find_spec(f"comfy_extras.{name}"):
            for node in vars(importlib.import_module(f"comfy_extras.{name}")).values():
                if inspect.isclass(node) and issubclass(node, io.ComfyNode) and node.__module__ == f"comfy_extras.{name}":
                    schema = node.define_schema()
                    gives = any(isinstance(output, io.Sigmas.Output) for output in schema.outputs)
                    if gives and not any(isinstance(i, io.Sigmas.Input) for i in schema.inputs):
                        found[schema.node_id] = node
    return found


SCHEDULERS = schedulers()


def sigmas(name, model):
    """What the node gives with its defaults, for few steps."""
    inputs = {}
    for i in SCHEDULERS[name].define_schema().inputs:
        if isinstance(i, io.Model.Input):
            inputs[i.id] = model
        elif not isinstance(i, io.Latent.Input):
            inputs[i.id] = i.options[0] if isinstance(i, io.Combo.Input) and i.default is None else i.default
    if "steps" in inputs:
        inputs["steps"] = STEPS
    return SCHEDULERS[name].execute(**inputs)[0]


def test_the_list_holds_what_every_host_has():
    known = ["AlignYourSteps", "Basic", "BetaSampling", "Exponential", "Flux2", "GITS", "Karras", "Laplace", "LTXV", "OptimalSteps", "Polyexponential", "SDTurbo", "VP"]  # fmt: skip
    assert {f"{name}Scheduler" for name in known} <= set(SCHEDULERS)


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("model", ["flow", "eps"], indirect=True)
def test_survivors_equal_stock_runs(model, name):
    guider = CFGGuider.execute(model, tiny.text(1), tiny.text(2), 3.0)[0]
    contract.assert_custom_sampling_equals_stock(guider, sigmas(name, model), tiny.empty_latent(model))
