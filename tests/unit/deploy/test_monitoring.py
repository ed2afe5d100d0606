"""Tests that every query uses existing metrics and labels, and that every alert has a section in the runbook."""

import json
import re

import promql_parser
import pytest
import yaml
from prometheus_client import REGISTRY

from api.http import request_metrics
from deploy.local.process import ROOT
from shared.jobs.job import JobState
from tests.fakes.job_factory import a_job
from tests.fakes.job_store import MemoryJobStore
from tools import dashboard
from worker.monitoring import worker_metrics

ALERTS = yaml.safe_load((ROOT / "deploy" / "monitoring" / "alerts.yml").read_text())["groups"][0]["rules"]
SCRAPE = yaml.safe_load((ROOT / "deploy" / "monitoring" / "prometheus.yml").read_text())
RUNBOOK = (ROOT / "docs" / "RUNBOOK.md").read_text()
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""], "info": ["_info"]}
OF_PROMETHEUS = {"instance", "job"}


def scaling_queries():
    scaled = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "keda" / "scaledobject.yaml").read_text())
    return [trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]]


def queries():
    shown = [target["expr"] for panel in dashboard.dashboard()["panels"] for target in panel["targets"]]
    return shown + [rule["expr"] for rule in ALERTS] + scaling_queries()


@pytest.fixture(scope="module")
def known():
    """Returns the labels of every series by its name, as the processes register them."""
    store = MemoryJobStore()
    store.create(a_job())
    worker_metrics.lease_expired(JobState.QUEUED)
    series = {"process_resident_memory_bytes": set(), "dream_build_info": {"component", "version"}}
    for family in request_metrics.QueueCollector(store).collect():
        labels = {name for sample in family.samples for name in sample.labels}
        series.update({family.name + suffix: labels for suffix in SUFFIXES[family.type]})
    for collector in set(REGISTRY._collector_to_names):
        kind = getattr(collector, "_type", None)
        if kind in {"counter", "histogram", "gauge"} and collector._name.startswith("dream_"):
            for suffix in SUFFIXES[kind]:
                extra = {"le"} if suffix == "_bucket" else set()
                series[collector._name + suffix] = set(collector._labelnames) | extra
    return series


def children(expression):
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        child = getattr(expression, name, None)
        if isinstance(child, promql_parser.Expr | promql_parser.VectorSelector):
            yield child
    yield from getattr(expression, "args", None) or ()


def nodes(expression):
    yield expression
    for child in children(expression):
        yield from nodes(child)


@pytest.mark.parametrize("query", queries())
def test_a_query_uses_existing_metrics_and_labels(query, known):
    found = list(nodes(promql_parser.parse(query)))

    selectors = [node for node in found if isinstance(node, promql_parser.VectorSelector)]
    assert selectors
    available = set(OF_PROMETHEUS)
    for selector in selectors:
        assert selector.name in known, f"no process has {selector.name}"
        available |= known[selector.name]
        assert {m.name for m in selector.matchers.matchers} <= known[selector.name] | OF_PROMETHEUS
    for node in found:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            assert set(node.modifier.labels) <= available


def test_a_query_with_an_unknown_metric_is_refused(known):
    with pytest.raises(AssertionError):
        test_a_query_uses_existing_metrics_and_labels("rate(dream_wishes_total[5m])", known)


def test_no_label_identifies_a_job_or_an_owner(known):
    assert not any({"job_id", "id", "owner", "claim", "path"} & labels for labels in known.values())
    assert not any(re.search("_(ms|minutes|hours|kb|mb|percent)(_|$)", name) for name in known)


def test_states_in_queries_exist():
    asked = {
        state for query in queries() for text in re.findall(r'state=~?"([^"]+)"', query) for state in text.split("|")
    }

    assert asked <= set(JobState)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_summary_and_a_runbook_section(rule):
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"docs/RUNBOOK.md#{rule['alert'].lower()}"
    assert f"\n## {rule['alert']}\n" in RUNBOOK


def test_the_dashboard_file_is_current_and_its_panels_do_not_overlap():
    panels = dashboard.dashboard()["panels"]

    assert json.loads(dashboard.DASHBOARD.read_text()) == dashboard.dashboard(), "run `make docs`"
    assert (
        len({(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels}) == len({p["id"] for p in panels}) == len(panels)
    )


def test_every_process_with_metrics_is_scraped():
    assert {job["job_name"] for job in SCRAPE["scrape_configs"]} == {"api", "caretaker", "worker"}
    assert SCRAPE["rule_files"] == ["alerts.yml"]
