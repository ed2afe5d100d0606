"""Tests images and compose without a container engine: linter, locks, and the build's steps in a clean folder."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from deploy.local.process import ROOT
from shared.settings import Settings
from shared.version import VERSION

pytestmark = pytest.mark.slow

DOCKER, COMPOSE = ROOT / "deploy" / "docker", ROOT / "deploy" / "compose"
IMAGES = ["api", "worker"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOOLS = Path(sys.executable).parent


def locked(path):
    """Returns the locked versions by package name, one per platform."""
    versions = {}
    for name, version in re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", path.read_text(), re.MULTILINE):
        versions.setdefault(name, set()).add(version)
    return versions


def requirements(extra):
    """Returns the project's dependencies with that extra and the extras that it refers to."""
    extras = PROJECT["project"]["optional-dependencies"]
    named = [Requirement(line) for line in extras[extra]]
    own = [requirement for requirement in named if requirement.name == PROJECT["project"]["name"]]
    others = [requirement for requirement in named if requirement not in own]
    inner = [requirement for entry in own for name in entry.extras for requirement in requirements(name)]
    return [Requirement(line) for line in PROJECT["project"]["dependencies"]] + others + inner


def dockerfile(image):
    return (DOCKER / f"{image}.Dockerfile").read_text()


@pytest.mark.parametrize("image", IMAGES)
def test_hadolint_reports_nothing(image):
    result = subprocess.run(
        [TOOLS / "hadolint", DOCKER / f"{image}.Dockerfile"], capture_output=True, text=True, check=False
    )

    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_pinned_staged_unprivileged_and_has_a_healthcheck(image):
    text = dockerfile(image)
    build, final = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]

    for stage in (build, final):
        assert re.match(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", stage)
    assert "USER 10001:10001" in final
    assert "HEALTHCHECK" in final
    assert "pip" not in final


@pytest.mark.parametrize("extra", ["api", "worker", "worker-gpu"])
def test_an_images_lock_has_every_dependency_in_the_tested_version(extra):
    lock, tested = locked(DOCKER / f"{extra}.lock"), locked(ROOT / "requirements.lock")

    for needed in requirements(extra):
        assert any(needed.specifier.contains(version) for version in lock[needed.name]), f"run `make lock`: {needed}"
    differing = {name: (lock[name], tested[name]) for name in lock.keys() & tested.keys() if lock[name] != tested[name]}
    # TensorFlow for GPUs is another package, and only one of them can be installed here.
    differing.pop("tensorflow", None)
    assert not differing, "run `make lock`"


def test_what_reads_heic_is_locked_by_itself_because_its_wheels_are_gpl():
    lock, tested = locked(DOCKER / "heif.lock"), locked(ROOT / "requirements.lock")

    assert lock == {"pillow-heif": tested["pillow-heif"]}, "run `make lock`"
    for image in ("api", "worker", "worker-gpu"):
        assert "pillow-heif" not in locked(DOCKER / f"{image}.lock")


def test_the_api_image_has_no_tensorflow():
    assert not {"tensorflow", "tensorflow-cpu", "numpy", "scipy", "keras"} & locked(DOCKER / "api.lock").keys()


def test_data_files_are_packaged():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    for package in ("api", "shared", "worker"):
        root = ROOT / package
        data = {p for p in root.rglob("*") if p.is_file() and p.suffix not in {".py", ".pyc", ".md"}}
        packaged = {p for pattern in patterns.get(package, []) for p in root.glob(pattern)}
        packaged |= {p for folder in packaged if folder.is_dir() for p in folder.rglob("*")}
        assert data <= packaged, f"[tool.setuptools.package-data] lacks {sorted(data - packaged)}"


def test_the_steps_of_the_api_image_give_a_service_that_starts(tmp_path):
    env = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}", "PYTHON": sys.executable}
    target = tmp_path / "opt" / "dream"
    for step in (["dependencies", DOCKER / "api.lock", target], ["application", ROOT, target]):
        done = subprocess.run([DOCKER / "build.sh", *step], env=env, capture_output=True, text=True, check=False)
        if done.returncode and "CI" not in os.environ and re.search("dns|connect|fetch", done.stderr, re.IGNORECASE):
            pytest.skip("the packages can't be fetched here")
        assert done.returncode == 0, done.stderr
    program = """
import importlib.metadata, sys
import api.app, worker.recovery.caretaker
from importlib.resources import files
from shared.redis.scripts import SCRIPTS

absent = [name for name in SCRIPTS if not (files("shared.redis") / "lua" / f"{name}.lua").is_file()]
heavy = [name for name in ("tensorflow", "numpy") if name in sys.modules]
print(importlib.metadata.version("dreamqueue"), *absent, *heavy)
"""

    started = subprocess.run(
        [target / "bin" / "python", "-c", program], cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )

    assert (started.stdout.strip(), started.stderr) == (VERSION, "")


def services(name):
    return yaml.safe_load((COMPOSE / name).read_text())["services"]


@pytest.mark.parametrize("name", ["api", "caretaker", "proxy", "redis", "s3", "prometheus", "grafana"])
def test_a_service_is_confined_and_has_a_healthcheck(name):
    service = services("compose.yaml")[name]

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "healthcheck" in service or name == "api"  # its image has one


def test_third_party_images_have_exact_tags_and_digests_and_can_be_replaced():
    template = (COMPOSE / ".env.example").read_text()
    for name, service in services("compose.yaml").items():
        if service["image"].startswith("dreamqueue-"):
            continue
        variable, tag = re.fullmatch(
            r"\$\{(\w+_IMAGE):-[\w/.-]+:([\w.-]+)@sha256:[0-9a-f]{64}\}", service["image"]
        ).groups()
        assert re.search(r"\d+\.\d+", tag), name
        assert f"#{variable}=" in template


def test_only_the_proxy_and_the_dashboards_are_published():
    published = {name: s["ports"] for name, s in services("compose.yaml").items() if "ports" in s}

    assert published.keys() == {"proxy", "grafana"}
    assert all(port.startswith("${BIND:-127.0.0.1}:") for ports in published.values() for port in ports)


def test_s3_serves_nothing_without_a_key():
    service = services("compose.yaml")["s3"]

    assert "-disableHttp" in service["command"]
    assert {"WEED_JWT_SIGNING_KEY", "WEED_JWT_SIGNING_READ_KEY"} <= service["environment"].keys()
    assert service["user"] == "10001:10001"


@pytest.mark.parametrize(("password", "status"), [("", 1), ("a password", 0)])
def test_grafana_does_not_start_without_a_password(password, status):
    shell, flag, script = services("compose.yaml")["grafana"]["entrypoint"]
    script = script.replace("$$", "$").replace("exec /run.sh", "exit 0")

    result = subprocess.run(
        [shell, flag, script], env={"GF_SECURITY_ADMIN_PASSWORD": password}, capture_output=True, text=True, check=False
    )

    assert result.returncode == status
    assert ("GRAFANA_PASSWORD" in result.stderr) == (status == 1)


def test_redis_never_evicts_and_is_append_only():
    command = " ".join(services("compose.yaml")["redis"]["command"])

    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_each_gpu_is_reserved_by_one_worker():
    reserved = [
        worker["deploy"]["resources"]["reservations"]["devices"][0] for worker in services("compose.gpu.yaml").values()
    ]

    assert [device["device_ids"] for device in reserved] == [["0"], ["1"], ["2"], ["3"]]
    assert all(device["capabilities"] == ["gpu"] for device in reserved)
    assert "reservations" not in services("compose.cpu.yaml")["worker"]["deploy"]["resources"]


def test_only_settings_that_exist_are_set():
    known = {f"DREAM_{name.upper()}" for name in Settings.model_fields}
    files = [*COMPOSE.glob("*.yaml"), *DOCKER.glob("*.Dockerfile")]
    for file in files:
        assert set(re.findall(r"\bDREAM_\w+", file.read_text())) <= known, file


def test_all_variables_of_compose_are_in_the_example():
    example = set(re.findall(r"^#?(\w+)=", (COMPOSE / ".env.example").read_text(), re.MULTILINE))
    used = set()
    for file in COMPOSE.glob("*.yaml"):
        used |= set(re.findall(r"(?<!\$)\$\{(\w+)", file.read_text()))

    assert used - {"VERSION", "GRAFANA_PORT"} <= example


@pytest.mark.parametrize("device", ["gpu", "cpu"])
def test_compose_accepts_the_files(device):
    client = _compose_client()
    if client is None:
        pytest.skip("no client with compose here")
    passwords = ("REDIS_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "ADMIN_KEY")
    files = ["-f", "compose.yaml", "-f", f"compose.{device}.yaml"]

    result = subprocess.run(
        [*client, *files, "config"],
        cwd=COMPOSE,
        env={**os.environ, **dict.fromkeys(passwords, "x" * 24)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert yaml.safe_load(result.stdout)["services"].keys() >= {"api", "worker"}


def _compose_client():
    for client in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(client[0]):
            answer = subprocess.run([*client, "version"], capture_output=True, check=False)
            if answer.returncode == 0:
                return client
    return None
