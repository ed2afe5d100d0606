"""Jobs and refusals on the real stack with two workers."""

import io

import httpx
import pytest
from PIL import Image, ImageChops

from api.client import Refused
from shared.jobs.job import JobState
from shared.s3 import object_keys
from shared.s3.object_storage import S3ObjectStorage
from tests.waiting import wait_until

SMALL = {"octaves": 2, "iterations": 3}
LONG = {"octaves": 2, "iterations": 1000}


@pytest.fixture
def storage(stack):
    return S3ObjectStorage.connect(stack.settings)


def test_two_workers_run_two_jobs_at_the_same_time(client, photograph):
    jobs = [client.submit(photograph, LONG | {"seed": seed}) for seed in (1, 2)]

    wait_until(lambda: all(client.get(job.id).state is JobState.RUNNING for job in jobs))
    wait_until(lambda: all(client.get(job.id).progress.fraction > 0 for job in jobs))

    for job in jobs:
        client.cancel(job.id)
        assert client.wait(job.id).state is JobState.CANCELED


def test_a_photograph_becomes_a_dream_in_s3(client, photograph, storage, tmp_path):
    job = client.wait(client.submit(photograph, SMALL).id)
    client.download(job.id, tmp_path / "dream.png")

    assert job.state is JobState.SUCCEEDED
    assert job.progress.fraction == 1
    (result,) = [key for key in storage.keys(object_keys.attempts(job.id)) if key.endswith("result.png")]
    assert storage.get(result) == (tmp_path / "dream.png").read_bytes()
    with Image.open(photograph) as before, Image.open(tmp_path / "dream.png") as after:
        assert after.size == before.size
        assert ImageChops.difference(before.convert("RGB"), after.convert("RGB")).getbbox()


def test_the_result_is_downloaded_from_s3(client, stack, photograph):
    job = client.wait(client.submit(photograph, SMALL).id)

    answer = httpx.get(f"{stack.api_url}/v1/jobs/{job.id}/result", follow_redirects=False)

    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(stack.settings.s3_url)
    assert Image.open(io.BytesIO(httpx.get(answer.headers["Location"]).content)).format == "PNG"


def test_the_report_lists_the_resolved_parameters(client, photograph):
    job = client.wait(client.submit(photograph, SMALL).id)

    params = client.report(job.id)["params"]

    assert params["octaves"] == 2
    assert params["layers"][0]["layer"]  # the network's default, by name
    assert params["jitter"] is not None
    assert params["tile_size"] is not None
    assert params["seed"] == 0


def test_the_same_request_gives_the_same_bytes_on_any_worker(client, photograph, tmp_path):
    jobs = [client.submit(photograph, SMALL | {"seed": 7}) for _ in range(2)]
    for job in jobs:
        assert client.wait(job.id).state is JobState.SUCCEEDED
        client.download(job.id, tmp_path / job.id)

    first, second = ((tmp_path / job.id).read_bytes() for job in jobs)
    assert first == second


def test_a_damaged_image_fails_its_job_with_an_error_and_the_next_job_runs(client, photograph, tmp_path):
    damaged = tmp_path / "damaged.png"
    content = bytearray(photograph.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)  # header and end are intact: only decoding finds it
    damaged.write_bytes(content)

    broken = [client.submit(damaged, SMALL) for _ in range(2)]
    following = [client.submit(photograph, SMALL) for _ in range(2)]

    for job in broken:
        ended = client.wait(job.id)
        assert ended.state is JobState.FAILED
        assert ended.error.code == "image_unreadable"
        assert ended.error.message.endswith(".")
    assert [client.wait(job.id).state for job in following] == [JobState.SUCCEEDED] * 2


@pytest.fixture
def refusal(client, storage):
    """Submits an invalid request, checks that nothing is stored, and returns the problem."""

    def submit(image, params=None):
        before = list(storage.keys("")), client.list_jobs().jobs
        with pytest.raises(Refused) as refused:
            client.submit(image, params)
        assert (list(storage.keys("")), client.list_jobs().jobs) == before
        return refused.value.problem

    return submit


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"layers": [{"layer": "block5z"}]}, "did you mean"),
        ({"model": "efficientnet-lite1"}, "efficientnet-lite0"),
        ({"iterations": 0}, "iterations"),
        ({"octave_scale": 1.4}, "0.714"),
        ({"steps": 3}, "steps"),
    ],
)
def test_invalid_parameters_are_refused_and_nothing_is_stored(refusal, photograph, params, expected):
    problem = refusal(photograph, params)

    assert problem.status == 422
    assert expected in problem.model_dump_json()


def test_a_file_that_is_not_an_image_is_refused_and_nothing_is_stored(refusal, tmp_path):
    words = tmp_path / "words.png"
    words.write_bytes(b"just words")

    assert refusal(words).code == "unsupported_image"


def test_a_truncated_image_is_refused_and_nothing_is_stored(refusal, photograph, tmp_path):
    cut = tmp_path / "cut.png"
    cut.write_bytes(photograph.read_bytes()[:-200])

    assert refusal(cut).code == "image_unreadable"
