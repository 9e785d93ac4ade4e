"""A run that stops at a look and asks: what is answered counts as if the inputs had said so, and who lives goes on from where it is."""

import comfy.model_management
import comfy.samplers
import pytest
import tiny
import torch
from comfy_extras.nodes_custom_sampler import BasicScheduler, CFGGuider
from contract import custom_sampling
from group_inference.nodes import group_ksampler
from group_inference.nodes.group_sampler import GroupSamplerNode
from group_inference.sampling import kept
from group_inference.sampling.trajectory import Trajectory
from group_inference.scorers.latent import LatentDistance

SAMPLERS = ["euler", "dpmpp_2m_sde", "euler_ancestral_cfg_pp", "dpmpp_2s_ancestral", "lms", "uni_pc", "dpm_adaptive"]


class Asked:
    """In the place of the board. answer: changes of what the inputs say; do: called while it waits; at: steps after which it asked."""

    def __init__(self, do=lambda: None, **answer):
        self.do, self.answer, self.at = do, answer, []

    def __call__(self, record, now, check):
        self.do()
        self.at.append(record.rounds[-1].step + 1)
        answer = now._replace(**self.answer)
        check(answer)
        return answer


@pytest.fixture
def asks(monkeypatch):
    def by(**answer):
        asked = Asked(**answer)
        monkeypatch.setattr(group_ksampler, "ask", asked)
        return asked

    return by


def run(model, latent, **more):
    """Of 8 candidates a half leaves after each step until 2 are left."""
    return tiny.group(model, 7, latent, **{"candidates": 8, "size": 2, "unary": tiny.Bright(), "vae": None} | more)


def fresh(*args, **more):
    kept.STORE.clear()
    return run(*args, **more)


CHANGES = {
    "ban": {"banned": "7, 9"},
    "pin one who left": {"pinned": "8"},
    "quality alone": {"lambda_score": 0.0},
    "difference": {"lambda_score": 50.0},
    "fewer": {"output_group_size": 1},
    "more": {"output_group_size": 3},
    "a new one": {"pinned": "1234"},
}


def as_inputs(change):
    """By the names that tiny.group has."""
    return {{"output_group_size": "size"}.get(name, name): value for name, value in change.items()}


@pytest.mark.parametrize("schedule", ["paper", "budget"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_answered_counts_as_if_the_inputs_had_said_so(flow_model, asks, change, schedule):
    latent, settings = tiny.empty_latent(flow_model), {"schedule": schedule, "budget": 2.0}
    asked = asks(**CHANGES[change])
    paused, told = run(flow_model, latent, pause_at=0.3, **settings)
    wanted, report = fresh(flow_model, latent, **settings, **as_inputs(CHANGES[change]))
    assert len(asked.at) == 1 and told["seeds"] == report["seeds"]
    assert [look["kept"] for look in told["rounds"]] == [look["kept"] for look in report["rounds"]]
    assert tiny.relative_error(paused["samples"], wanted["samples"]) < 1e-5
    assert told["changed"] == {"after_step": asked.at[0], "inputs": CHANGES[change]}
    assert report["changed"] == {} and any(note.startswith(f"Changed at the pause after step {asked.at[0]}: ") for note in told["notes"])
    settings = {name: value for name, value in report["settings"].items() if value != told["settings"].get(name)}
    assert settings == {}


@pytest.mark.parametrize("sampler_name", SAMPLERS)
def test_who_lives_goes_on_from_where_it_is(eps_model, asks, rows, sampler_name):
    """Every result is the stock sampler's of its seed, and the model evaluates what would have been evaluated anyway, and one that came
    back alone."""
    latent, settings = tiny.empty_latent(eps_model), {"sampler_name": sampler_name, "ratio": 0.3}
    run(eps_model, latent, **settings)
    plain = rows()
    kept.STORE.clear()
    asked = asks(banned="9")
    paused, told = run(eps_model, latent, pause_at=0.5, **settings)
    taken = rows()
    wanted, report = fresh(eps_model, latent, banned="9", **settings)
    assert told["seeds"] == report["seeds"] and 9 not in told["seeds"] and asked.at
    for row, seed in zip(paused["samples"], told["seeds"], strict=True):
        assert tiny.relative_error(row[None], tiny.stock(eps_model, seed, latent, sampler_name=sampler_name)) < 1e-4
    rows()
    tiny.stock(eps_model, 9, latent, sampler_name=sampler_name)
    assert taken <= plain + 2 * rows()


@pytest.mark.parametrize("sampler_name", SAMPLERS)
def test_nothing_changes_where_nothing_is_answered(flow_model, asks, sampler_name):
    latent = tiny.empty_latent(flow_model)
    plain, report = run(flow_model, latent, sampler_name=sampler_name)
    kept.STORE.clear()
    asked = asks()
    paused, told = run(flow_model, latent, sampler_name=sampler_name, pause_at=0.3)
    assert len(asked.at) == 1 and torch.equal(paused["samples"], plain["samples"])
    assert (told["seeds"], told["model_rows"], told["changed"]) == (report["seeds"], report["model_rows"], {})


def test_nobody_is_sampled_twice(flow_model, asks, monkeypatch):
    """Of those who live each goes on in the greenlet that it has."""
    made = []
    monkeypatch.setattr("group_inference.sampling.ground.Trajectory", lambda *args: made.append(args[0].seed) or Trajectory(*args))
    asks(lambda_score=0.1)
    run(flow_model, tiny.empty_latent(flow_model), pause_at=0.01)
    assert made == [*range(7, 15)]


@pytest.mark.parametrize(("share", "step"), [(0.01, 1), (0.17, 2), (0.34, 2), (1.0, 2)])
def test_it_asks_at_the_first_look_after_a_share_of_the_steps_or_at_the_last(flow_model, asks, share, step):
    asked = asks()
    run(flow_model, tiny.empty_latent(flow_model), pause_at=share)
    assert asked.at == [step]


def test_it_does_not_ask_unless_it_is_to(flow_model, asks):
    asked = asks()
    run(flow_model, tiny.empty_latent(flow_model))
    assert asked.at == []
    _, report = run(flow_model, tiny.empty_latent(flow_model), pause_at=0.5, candidates=2)
    assert asked.at == [] and "There is no look to pause at: all 2 candidates are in the group." in report["notes"]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(flow_model, share):
    with pytest.raises(ValueError, match=r"^pause_at is .*\.$"):
        run(flow_model, tiny.empty_latent(flow_model), pause_at=share)


@pytest.mark.parametrize(
    "answer",
    [
        {"pinned": "7-9"},
        {"banned": "0-99"},
        {"pinned": "all"},
        {"pinned": "7", "banned": "7"},
        {"output_group_size": 9},
        {"lambda_score": -1.0},
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(flow_model, asks, answer):
    asks(**answer)
    with pytest.raises(ValueError, match=r"^\S.*\.$"):
        run(flow_model, tiny.empty_latent(flow_model), pause_at=0.3)


@pytest.mark.parametrize("change", [{}, {"banned": "9"}])
def test_models_may_be_unloaded_meanwhile(flow_model, asks, change):
    latent = tiny.empty_latent(flow_model)
    wanted, report = fresh(flow_model, latent, **change)
    kept.STORE.clear()
    asks(do=comfy.model_management.unload_all_models, **change)
    paused, told = run(flow_model, latent, pause_at=0.3)
    assert told["seeds"] == report["seeds"] and tiny.relative_error(paused["samples"], wanted["samples"]) < 1e-5


@pytest.mark.parametrize("change", [{}, {"banned": "9"}])
def test_an_interrupt_while_it_waits_ends_the_run(flow_model, asks, change):
    def interrupt():
        comfy.model_management.interrupt_current_processing()
        comfy.model_management.throw_exception_if_processing_interrupted()

    asks(do=interrupt, **change)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(flow_model, tiny.empty_latent(flow_model), pause_at=0.3)
    asks()
    run(flow_model, tiny.empty_latent(flow_model), pause_at=0.3)
    assert torch.is_grad_enabled()


def test_the_sampler_of_another_node_asks_too(flow_model, monkeypatch):
    asked = Asked(banned="9")
    monkeypatch.setattr("group_inference.nodes.group_sampler.ask", asked)
    latent, sampler = tiny.empty_latent(flow_model), comfy.samplers.sampler_object("euler")
    settings = {"pairwise": LatentDistance(), "schedule": "paper"}
    sample = lambda group: custom_sampling(
        CFGGuider.execute(flow_model, tiny.text(1), tiny.text(2), 4.0)[0],
        group,
        BasicScheduler.execute(flow_model, "normal", 6, 1.0)[0],
        7,
        latent,
    )[0]
    paused = GroupSamplerNode.execute(sampler, 8, 2, 0.5, pause_at=0.3, **settings).args[0]
    found = sample(paused)
    kept.STORE.clear()
    banned = GroupSamplerNode.execute(sampler, 8, 2, 0.5, banned="9", **settings).args[0]
    wanted = sample(banned)
    assert asked.at and paused.last_run.seeds == banned.last_run.seeds
    assert tiny.relative_error(found, wanted) < 1e-5
    assert paused.run_of(found) is paused.last_run
