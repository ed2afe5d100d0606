import pytest

from api.cli import network_commands
from api.cli.connection import REFUSED, UNSUCCESSFUL
from shared.interfaces import WeightsFetch
from tests.fakes.client import ScriptedClock
from tests.unit.api.cli.conftest import register

LITE0 = {"models": ("efficientnet-lite0",), "fetchable": ("googlenet",)}
BOTH = {"models": ("efficientnet-lite0", "googlenet")}


@pytest.fixture
def workers(monkeypatch, world):
    """Plays the workers: registers each of these after one more poll of the command."""

    def script(*registrations):
        def step(about):
            def change():
                register(world, **about)
                world.clock.sleep(3)  # the cached fleet expires

            return change

        monkeypatch.setattr(network_commands, "SystemClock", lambda: ScriptedClock(*map(step, registrations)))

    register(world, **LITE0)
    return script


def test_lists_say_what_is_available(dream, workers):
    _, models, _ = dream("models")
    _, looks, _ = dream("looks")

    lines = {line.split()[0]: line for line in models.splitlines() + looks.splitlines()}
    assert "ready" in lines["efficientnet-lite0"]
    assert "fetchable" in lines["googlenet"]
    assert "unavailable" in lines["inception-animals"]


def test_fetch_waits_until_a_worker_serves_the_network(dream, workers, world):
    workers(LITE0 | {"fetch": WeightsFetch(model="googlenet", fetched_bytes=5)}, BOTH)

    code, out, _ = dream("fetch", "googlenet")

    assert code == 0
    assert out.strip().endswith("googlenet is ready")
    assert world.store.requested_fetches(["googlenet"])


def test_fetch_says_why_it_failed_and_ignores_the_error_of_an_earlier_request(dream, workers, world):
    register(world, **LITE0, fetch=WeightsFetch(model="googlenet", error="Yesterday's error."))
    workers(
        LITE0 | {"fetch": WeightsFetch(model="googlenet")},
        LITE0 | {"fetch": WeightsFetch(model="googlenet", error="The server is closed.")},
    )

    code, _, err = dream("fetch", "googlenet")

    assert (code, err.strip()) == (UNSUCCESSFUL, "googlenet was not fetched: The server is closed.")


def test_fetch_gives_up_if_no_worker_takes_the_request_up(dream, workers):
    workers()

    code, _, err = dream("fetch", "googlenet")

    assert (code, err.strip()) == (UNSUCCESSFUL, "googlenet was not fetched: No worker has taken the request up.")


def test_what_no_worker_can_fetch_is_refused(dream, workers):
    assert dream("fetch", "vgg16")[0] == REFUSED
