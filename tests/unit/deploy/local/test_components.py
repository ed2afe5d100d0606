"""Tests how workers share the machine's cores and GPUs."""

import pytest

from deploy.local import components
from shared.settings import Settings


@pytest.fixture
def machine(monkeypatch):
    def has(*, processors, gpus=()):
        monkeypatch.setattr(components, "_processors", lambda: processors)
        monkeypatch.setattr(components, "gpus", lambda: list(gpus))

    return has


def test_one_worker_has_the_whole_processor(machine):
    machine(processors=8)

    (worker,) = components.workers(1, Settings(), {})

    assert "DREAM_TILE_THREADS" not in worker.env


def test_several_workers_divide_the_processor(machine):
    machine(processors=8)

    workers = components.workers(3, Settings(), {})

    assert [w.env["DREAM_TILE_THREADS"] for w in workers] == ["2", "2", "2"]
    assert len({w.env["DREAM_WORKER_NAME"] for w in workers}) == 3


def test_more_workers_than_processors_still_get_one_thread_each(machine):
    machine(processors=1)

    assert {w.env["DREAM_TILE_THREADS"] for w in components.workers(4, Settings(), {})} == {"1"}


def test_each_worker_gets_a_gpu_in_turn(machine):
    machine(processors=8, gpus=["0", "1"])

    workers = components.workers(3, Settings(), {})

    assert [w.env["CUDA_VISIBLE_DEVICES"] for w in workers] == ["0", "1", "0"]


def test_addresses_leave_out_what_is_unset():
    found = components.addresses(Settings(redis_url="redis://there", s3_secret_key="hush"))

    assert found["redis_url"] == "redis://there"
    assert found["s3_secret_key"] == "hush"
    assert "s3_access_key" not in found
