"""What Group Workers say before any process is started; tests/server/test_workers.py has the processes."""

import sys
from types import SimpleNamespace

import pytest
from group_inference.nodes.group_workers import GroupWorkersNode
from group_inference.scaleout import actor, workers
from group_inference.scaleout.workers import arguments


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RuntimeError, match='^Group Workers need the package ray, which is not installed: pip install "ray>=2.49"'):
        GroupWorkersNode.execute(2, 4)
    GroupWorkersNode.execute(0, 4)  # who wants none needs none


@pytest.mark.parametrize("given", [(-2, 4), (1, 0)])
def test_numbers_that_cannot_be(given):
    with pytest.raises(ValueError, match="they must be at least -1 and 1"):
        GroupWorkersNode.execute(*given)


def test_a_cluster_without_gpus_is_given_a_number(monkeypatch):
    monkeypatch.setattr(workers, "_connected", lambda address: SimpleNamespace(cluster_resources=lambda: {"CPU": 2.0}))
    with pytest.raises(ValueError, match="^The Ray cluster at there:6379 has no GPU: set the count of Group Workers to how many"):
        workers.Workers(-1, "there:6379").running()


@pytest.mark.parametrize("address", ["a..b:6379", "127.0.0.1:99999", "127.0.0.1:9", "no.such.machine.invalid:6379"])
def test_where_nothing_answers(address):
    with pytest.raises(RuntimeError, match=f"^No Ray cluster answers at {address} .*: start one there by ray start --head"):
        workers.Workers(1, address).running()


def test_a_machine_without_comfyui_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    answer = actor.Worker().boot("/of/the/first/machine", [], {}, 1)
    assert answer["error"].startswith(f"there is no ComfyUI in {tmp_path} on ") and "COMFYUI_PATH" in answer["error"]


def test_who_has_no_other_gpu_is_asked_for_a_number():
    with pytest.raises(ValueError, match="^This machine has no GPU beside the one in use: set the count of Group Workers to how many"):
        GroupWorkersNode.execute(-1, 4)


@pytest.mark.parametrize("address", ["192.168.1.2", "ray://there:10001", "there:port", "http://there:6379", "a b:1"])
def test_an_address_that_cannot_be(address):
    with pytest.raises(ValueError, match="^address is .*: it must be that of a Ray cluster, such as 192.168.1.2:6379, or auto, or empty.$"):
        GroupWorkersNode.execute(2, 4, address)


@pytest.mark.parametrize("address", ["", "auto", " there:6379 ", "192.168.1.2:6379", "[::1]:6379"])
def test_an_address_that_can_be(address):
    GroupWorkersNode.execute(2, 4, address)


def test_workers_get_the_hosts_arguments_without_those_of_the_server(monkeypatch):
    given = ["main.py", "--listen", "--port", "8188", "--cpu", "--base-directory", "/a b", "--cuda-device=1", "--auto-launch", "--lowvram"]
    monkeypatch.setattr(sys, "argv", given)
    assert arguments() == ["--cpu", "--base-directory", "/a b", "--lowvram"]
