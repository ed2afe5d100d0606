"""Tests the manifests: valid by Kubernetes' schemas, confined, and consistent with the code."""

import re
import shutil
import subprocess

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.local.process import ROOT
from shared.settings import Settings
from tools import dashboard
from worker import child

FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ["1.30", "1.34"]  # the oldest supported version, and a recent one

TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
OTHERS = {  # custom resources: only those parts of their schemas that are used here
    "ScaledObject": {
        "type": "object",
        "required": ["scaleTargetRef", "triggers"],
        "additionalProperties": False,
        "properties": {
            "scaleTargetRef": {"type": "object", "required": ["name"], "additionalProperties": {"type": "string"}},
            **{
                name: {"type": "integer", "minimum": 0}
                for name in ("minReplicaCount", "maxReplicaCount", "pollingInterval", "cooldownPeriod")
            },
            "advanced": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "horizontalPodAutoscalerConfig": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {"behavior": {"type": "object"}, "name": {"type": "string"}},
                    },
                },
            },
            "triggers": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["type", "metadata"],
                    "additionalProperties": False,
                    "properties": {
                        "type": {"const": "prometheus"},
                        "metricType": {"enum": ["AverageValue", "Value"]},
                        "metadata": TEXTS
                        | {"required": ["serverAddress", "query", "threshold"]},  # all texts, numbers too
                    },
                },
            },
        },
    },
    "PodMonitor": {
        "type": "object",
        "required": ["selector", "podMetricsEndpoints"],
        "additionalProperties": False,
        "properties": {
            "selector": {"type": "object"},
            "jobLabel": {"type": "string"},
            "podMetricsEndpoints": {"type": "array", "items": TEXTS | {"required": ["port"]}},
        },
    },
    "PrometheusRule": {
        "type": "object",
        "required": ["groups"],
        "additionalProperties": False,
        "properties": {"groups": {}},
    },
}
KUSTOMIZE = {"Kustomization", "Component"}


def documents():
    for file in sorted(FOLDER.rglob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            if document["kind"] not in KUSTOMIZE:
                yield document


def validate(document, version):
    if (schema := OTHERS.get(document["kind"])) is not None:
        jsonschema.validate(document["spec"], schema)
    else:
        kubernetes_validate.validate(document, version, strict=True)


def named(kind, name):
    return next(d for d in documents() if (d["kind"], d["metadata"]["name"]) == (kind, name))


def deployments():
    return [d for d in documents() if d["kind"] == "Deployment"]


def pod(deployment):
    return deployment["spec"]["template"]["spec"]


def label(document):
    return f"{document['kind']} {document['metadata']['name']}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", list(documents()), ids=label)
def test_every_document_fits_its_schema(document, version):
    validate(document, version)


def test_a_misspelled_field_is_refused():
    wrong = named("Deployment", "worker")
    pod(wrong)["terminationGracePeriod"] = 30

    with pytest.raises(kubernetes_validate.ValidationError):
        validate(wrong, VERSIONS[-1])


@pytest.fixture(scope="module")
def built():
    """Returns a function that builds an overlay with kustomize."""
    if not shutil.which("kubectl"):
        pytest.skip("no kubectl here, which has kustomize in it")

    def build(folder):
        result = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return list(yaml.safe_load_all(result.stdout))

    return build


def test_the_example_builds_into_valid_documents(built):
    made = built(FOLDER / "example")

    for document in made:
        validate(document, VERSIONS[-1])
        assert document["metadata"]["namespace"] == "dreamqueue"
    assert {"ScaledObject", "PodMonitor", "PrometheusRule", "HorizontalPodAutoscaler"} <= {d["kind"] for d in made}
    configured = next(d for d in made if d["kind"] == "ConfigMap")
    (worker,) = (d for d in made if label(d) == "Deployment worker")
    assert pod(worker)["containers"][0]["envFrom"] == [{"configMapRef": {"name": configured["metadata"]["name"]}}]
    assert configured["data"]["DREAM_KEYS"] == "on"


def test_the_cpu_component_requests_no_gpu(built, tmp_path):
    for name in ("base", "cpu"):
        shutil.copytree(FOLDER / name, tmp_path / name)
    (tmp_path / "kustomization.yaml").write_text("resources: [base]\ncomponents: [cpu]\n")

    (worker,) = (d for d in built(tmp_path) if label(d) == "Deployment worker")

    assert "nvidia" not in str(worker)


def test_a_gpu_worker_has_one_gpu():
    assert pod(named("Deployment", "worker"))["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1


@pytest.mark.parametrize("deployment", deployments(), ids=label)
def test_a_container_is_confined(deployment):
    security = pod(deployment)["securityContext"]
    (container,) = pod(deployment)["containers"]

    assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 10001)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod(deployment)["automountServiceAccountToken"]
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("deployment", deployments(), ids=label)
def test_secrets_come_by_reference_and_settings_exist(deployment):
    known = {f"DREAM_{name.upper()}" for name in Settings.model_fields}
    variables = {v["name"]: v for v in pod(deployment)["containers"][0]["env"]}

    assert {name for name in variables if name.startswith("DREAM_")} <= known
    for name, variable in variables.items():
        if re.search("REDIS_URL|KEY", name):
            assert variable["valueFrom"]["secretKeyRef"]["name"] == "dream"


def test_the_grace_period_outlasts_the_drain():
    grace_s = pod(named("Deployment", "worker"))["terminationGracePeriodSeconds"]
    compose = yaml.safe_load((ROOT / "deploy" / "compose" / "workers.yaml").read_text())

    assert grace_s >= child.DRAIN_LIMIT_S + 10  # and Celery's own way out
    assert compose["services"]["worker"]["stop_grace_period"] == f"{grace_s}s"


def test_a_worker_is_ready_with_its_model_and_alive_by_its_liveness_file():
    container = pod(named("Deployment", "worker"))["containers"][0]
    image = (ROOT / "deploy" / "docker" / "worker.Dockerfile").read_text()
    (liveness_file,) = re.findall(r"DREAM_LIVENESS_FILE=(\S+)", image)
    (port,) = re.findall(r"DREAM_METRICS_PORT=(\d+)", image)

    assert liveness_file in container["livenessProbe"]["exec"]["command"][-1]
    assert container["ports"] == [{"name": "metrics", "containerPort": int(port)}]
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/readyz", "port": "metrics"}


def test_the_workers_are_scaled_on_queued_and_running_jobs():
    scaled = named("ScaledObject", "worker")["spec"]
    (trigger,) = scaled["triggers"]

    assert 'state=~"queued|running|canceling"' in trigger["metadata"]["query"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert "replicas" not in named("Deployment", scaled["scaleTargetRef"]["name"])["spec"]


def test_selectors_match_their_deployments():
    pods = {d["metadata"]["name"]: d["spec"]["template"]["metadata"]["labels"] for d in deployments()}

    for kind in ("PodDisruptionBudget", "Service"):
        for document in (d for d in documents() if d["kind"] == kind):
            selector = document["spec"]["selector"]
            assert selector.get("matchLabels", selector) == pods[document["metadata"]["name"]]
    assert named("HorizontalPodAutoscaler", "api")["spec"]["scaleTargetRef"]["name"] in pods


def test_traffic_is_denied_unless_a_policy_allows_it():
    closed = named("NetworkPolicy", "nothing-else")["spec"]
    opened = {
        p["port"]
        for d in documents()
        if d["kind"] == "NetworkPolicy"
        for i in d["spec"].get("ingress", ())
        for p in i["ports"]
    }
    ports = {port["name"] for d in deployments() for port in pod(d)["containers"][0]["ports"]}

    assert set(closed["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in closed
    assert opened == ports == {"http", "metrics"}


def test_the_prometheus_rule_is_current():
    assert dashboard.RULE.read_text() == dashboard.rule(), "run `make docs`"
