import threading

import pytest

from tests.fakes.clock import FakeClock
from tests.waiting import patience_s
from worker.monitoring import liveness_file
from worker.recovery.webhook_thread import STUCK_S, DispatcherThread


class Dispatcher:
    """Fails in every round, and lets a test wait for a number of them."""

    def __init__(self, error: Exception) -> None:
        self.error, self.rounds = error, threading.Semaphore(0)

    def deliver_due(self):
        self.rounds.release()
        raise self.error


@pytest.fixture
def ended():
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def clock():
    return FakeClock()


def test_an_unexpected_error_ends_a_round_and_not_the_thread(ended, clock, monkeypatch):
    monkeypatch.setattr("worker.recovery.webhook_thread.ROUND_S", 0.001)
    dispatcher = Dispatcher(TypeError("poisoned"))
    thread = DispatcherThread(dispatcher, clock, leads=lambda: True, ended=ended)

    thread.start()

    assert all(dispatcher.rounds.acquire(timeout=patience_s()) for _ in range(3))
    assert thread.is_well()


def test_a_dispatcher_that_has_ended_or_is_stuck_is_not_well(ended, clock):
    thread = DispatcherThread(Dispatcher(TypeError()), clock, leads=lambda: False, ended=ended)
    assert not thread.is_well()  # never started

    thread.start()
    assert thread.is_well()
    clock.sleep(STUCK_S)
    assert not thread.is_well()


def test_the_liveness_file_is_left_alone_while_a_part_of_the_process_is_dead(tmp_path):
    file = tmp_path / "alive"

    liveness_file.touch_once(file, lambda: False)
    assert not file.exists()
    liveness_file.touch_once(file, lambda: True)
    assert file.exists()
