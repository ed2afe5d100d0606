import pytest

from shared.interfaces import WeightsFetch, WorkerInfo
from shared.jobs.fleet import Fleet


def worker(name="w", **about):
    return WorkerInfo(**{"name": name, "models": ("small",), "device": "cpu", "job_id": None, "seen_at": 0} | about)


@pytest.mark.parametrize(
    ("model", "availability"), [("small", "ready"), ("large", "fetchable"), ("other", "unavailable")]
)
def test_a_network_is_ready_fetchable_or_unavailable(model, availability):
    assert Fleet.of([worker(fetchable=("large",))]).availability(model) == availability


def test_a_network_that_one_of_two_workers_serves_is_ready():
    assert Fleet.of([worker(), worker("v", models=("large",), fetchable=("small",))]).availability("small") == "ready"


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"models": ("large",)}, None),
        ({"fetchable": ("large",), "fetch": WeightsFetch(model="large", fetched_bytes=5)}, "is fetching"),
        ({"fetchable": ("large",), "fetches_on_demand": True}, "will fetch"),
        ({"fetchable": ("large",)}, "dream fetch large"),
        ({}, "No running worker serves"),
    ],
)
def test_a_queued_job_says_what_it_waits_for(about, words):
    sentence = Fleet.of([worker(**about)]).waits_for("large")

    assert sentence is None if words is None else words in sentence


def test_a_job_without_any_worker_waits_for_one():
    assert "No worker is running" in Fleet.of([]).waits_for("small")


def test_the_tag_changes_with_what_jobs_wait_for_and_not_with_the_progress_of_a_fetch():
    def tag(**fetch):
        return Fleet.of([worker(fetchable=("large",), fetch=WeightsFetch(model="large", **fetch))]).tag()

    assert tag(fetched_bytes=1) == tag(fetched_bytes=2) != tag(error="no") != Fleet.of([worker()]).tag()


def test_of_several_fetches_the_furthest_counts_and_a_failed_one_last():
    fetches = [
        WeightsFetch(model="large", error="no", fetched_bytes=9),
        WeightsFetch(model="large", fetched_bytes=1),
        WeightsFetch(model="large", fetched_bytes=2),
    ]
    fleet = Fleet.of([worker(str(n), fetch=fetch) for n, fetch in enumerate(fetches)])

    assert fleet.fetch_of("large").fetched_bytes == 2
