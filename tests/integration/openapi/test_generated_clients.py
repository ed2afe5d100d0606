"""Clients that others' generators make of the OpenAPI document submit a picture, poll, and fetch the result."""

import importlib
import io
import sys

import pytest
from PIL import Image

from tests.fakes.pictures import a_picture
from tests.integration.openapi.conftest import HERE, run
from tools.openapi import COMMITTED

PYTHON_GENERATOR = "openapi-python-client==0.29.1"
TSC = ("--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom", "--strict", "--skipLibCheck")


@pytest.fixture(scope="module")
def python_client(tmp_path_factory):
    """The package that openapi-python-client generates."""
    folder = tmp_path_factory.mktemp("python")
    run(
        *(sys.executable, "-m", "uv", "tool", "run", "--from", PYTHON_GENERATOR),
        *("openapi-python-client", "generate", "--meta", "none", "--fail-on-warning"),
        *("--path", COMMITTED, "--config", HERE / "openapi_python_client.yaml", "--output-path", folder / "dreams"),
        cwd=folder,
    )
    sys.path.insert(0, str(folder))
    yield importlib.import_module("dreams")
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] == "dreams"]:
        del sys.modules[name]


def test_the_python_client_submits_a_form_polls_and_fetches_the_result(stack, python_client):
    # given
    from dreams import AuthenticatedClient, models, types  # noqa: PLC0415 - generated just now
    from dreams.api.jobs import get_job, submit_job  # noqa: PLC0415
    from dreams.api.outputs import get_result  # noqa: PLC0415

    form = models.SubmitJobFilesJobForm(
        image=types.File(
            io.BytesIO(a_picture("PNG", width=120, height=80)), file_name="cat.png", mime_type="image/png"
        ),
        params=models.DreamParams(octaves=1, iterations=2),
        webhook_events=[
            models.SubmitJobFilesJobFormWebhookEventsItem.STARTED,
            models.SubmitJobFilesJobFormWebhookEventsItem.COMPLETED,
        ],
    )

    # when
    with AuthenticatedClient(stack.api_url, token="none", follow_redirects=True) as client:
        job = submit_job.sync(client=client, body=form)
        while job.finished_at is None:
            job = get_job.sync(job.id, client=client, prefer="wait=5")
        result = get_result.sync(job.id, client=client)

    # then
    assert (job.state, job.name, job.params.octaves) == (models.JobState.SUCCEEDED, "cat.png", 1)
    with Image.open(result.payload) as image:
        assert image.size == (120, 80)


def test_the_typescript_client_submits_a_form_polls_and_fetches_the_result(stack, npm_packages, tmp_path):
    # given
    (tmp_path / "node_modules").symlink_to(npm_packages / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "typed_client.ts").write_text((HERE / "typed_client.ts").read_text())
    (tmp_path / "cat.png").write_bytes(a_picture("PNG", width=120, height=80))
    programs = npm_packages / "node_modules" / ".bin"
    run(programs / "openapi-typescript", COMMITTED, "--output", "schema.d.ts", cwd=tmp_path)

    # when
    run(programs / "tsc", *TSC, "typed_client.ts", cwd=tmp_path)
    said = run("node", "typed_client.js", stack.api_url, "cat.png", "dream.png", cwd=tmp_path)

    # then
    assert said == "succeeded cat.png\n"
    with Image.open(tmp_path / "dream.png") as image:
        assert image.size == (120, 80)
