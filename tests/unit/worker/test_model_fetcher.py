"""A worker's fetches while it runs: requested ones and those for waiting jobs, with their progress."""

import threading

import pytest

from shared.errors import ModelUnavailable
from shared.networks import catalog
from shared.settings import Settings
from tests.waiting import wait_until
from worker import model_fetcher
from worker.model_fetcher import ModelFetcher
from worker.networks import registry


@pytest.fixture
def present(monkeypatch):
    """The models whose weights are present; a fetch adds one."""
    found = {"efficientnet-lite0"}
    monkeypatch.setattr(registry, "is_ready", lambda name, _: name in found)
    return found


@pytest.fixture
def fetched(monkeypatch, present):
    calls = []

    def fetch(model, _, *, on_bytes):
        calls.append(model.name)
        on_bytes(5, 10)
        present.add(model.name)

    monkeypatch.setattr(model_fetcher, "fetch", fetch)
    return calls


def test_what_has_addresses_and_no_weights_is_fetchable(present):
    present.add("vgg16")

    assert set(ModelFetcher(Settings()).fetchable()) == set(catalog.MODELS) - present
    assert ModelFetcher(Settings(models=("efficientnet-lite0", "googlenet"))).fetchable() == ("googlenet",)


def test_a_request_is_taken_up_once_although_jobs_alone_fetch_nothing(fetched):
    fetcher = ModelFetcher(Settings())
    fetcher.fetch_on_demand(["googlenet"])
    assert fetched == []

    fetcher.take_up({"googlenet": "first"})
    wait_until(lambda: not fetcher.is_fetching and fetched)
    fetcher.take_up({"googlenet": "first"})

    assert (fetched, "googlenet" in fetcher.ready()) == (["googlenet"], True)


def test_a_fetch_shows_its_progress_and_then_why_it_failed(monkeypatch, present):
    proceed, shown = threading.Event(), threading.Event()

    def fetch(model, _, *, on_bytes):
        on_bytes(5, 10)
        shown.set()
        proceed.wait()
        raise ModelUnavailable("The server is closed.")

    monkeypatch.setattr(model_fetcher, "fetch", fetch)
    fetcher = ModelFetcher(Settings())

    fetcher.take_up({"googlenet": "first"})
    assert shown.wait()
    current = fetcher.current
    assert (current.model, current.fetched_bytes, current.total_bytes) == ("googlenet", 5, 10)
    assert fetcher.is_fetching
    proceed.set()
    wait_until(lambda: not fetcher.is_fetching)

    assert fetcher.current.error == "The server is closed."
    fetcher.take_up({"googlenet": "first"})  # only a new request tries again
    assert not fetcher.is_fetching
