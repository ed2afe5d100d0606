"""Writes the Grafana dashboard and the Kubernetes copy of the alerts. Run: python -m tools.dashboard (`make docs`)"""

import json
from pathlib import Path
from typing import Any

DEPLOY = Path(__file__).parent.parent / "deploy"
MONITORING = DEPLOY / "monitoring"
DASHBOARD = MONITORING / "grafana" / "dashboards" / "dreamqueue.json"
RULE = DEPLOY / "kubernetes" / "monitoring" / "prometheusrule.yaml"
WIDTH, HEIGHT = 8, 8  # of a panel; Grafana's grid is 24 wide

FIRST = "dream_first_iteration_seconds_bucket"
ANSWERS = "dream_http_request_duration_seconds_bucket"
# Title, unit, and each line's name with its query.
PANELS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Jobs", "short", {"{{state}}": 'max by (state) (sum by (state, instance) (dream_jobs{state=~"queued|running"}))'}),
    ("Waiting by model", "short", {"{{model}}": "max by (model) (dream_jobs_waiting)"}),
    ("Oldest waiting job", "s", {"age": "max(dream_oldest_queued_age_seconds)"}),
    (
        "Workers",
        "short",
        {"alive": "max(dream_workers)", "busy": "max(dream_busy_workers)"},
    ),
    ("Attempts ended per minute", "short", {"{{end}}": "sum by (end) (rate(dream_attempts_total[5m])) * 60"}),
    (
        "From submission",
        "s",
        {
            "to claim, p50": "histogram_quantile(0.5, sum by (le) (rate(dream_queue_wait_seconds_bucket[5m])))",
            "to claim, p99": "histogram_quantile(0.99, sum by (le) (rate(dream_queue_wait_seconds_bucket[5m])))",
            "to first iteration, p50": f"histogram_quantile(0.5, sum by (le) (rate({FIRST}[5m])))",
            "to first iteration, p99": f"histogram_quantile(0.99, sum by (le) (rate({FIRST}[5m])))",
        },
    ),
    ("Pixel-steps per second", "short", {"{{instance}}": "sum by (instance) (rate(dream_pixel_steps_total[1m]))"}),
    (
        "One octave",
        "s",
        {
            "p50": "histogram_quantile(0.5, sum by (le) (rate(dream_octave_seconds_bucket[15m])))",
            "p90": "histogram_quantile(0.9, sum by (le) (rate(dream_octave_seconds_bucket[15m])))",
        },
    ),
    (
        "One checkpoint",
        "s",
        {
            "p50": "histogram_quantile(0.5, sum by (le) (rate(dream_checkpoint_seconds_bucket[15m])))",
            "p90": "histogram_quantile(0.9, sum by (le) (rate(dream_checkpoint_seconds_bucket[15m])))",
        },
    ),
    (
        "Expired leases per hour",
        "short",
        {"{{state}}": "sum by (state) (rate(dream_leases_expired_total[15m])) * 3600"},
    ),
    (
        "Model and GPU memory",
        "bytes",
        {
            "{{instance}} {{model}}": "max by (instance, model) (dream_model_memory_bytes)",
            "{{instance}} GPU": "max by (instance) (dream_device_memory_bytes) > 0",
        },
    ),
    ("Memory of workers and caretakers", "bytes", {"{{job}} {{instance}}": "process_resident_memory_bytes"}),
    ("Requests per second", "reqps", {"{{route}}": "sum by (route) (rate(dream_http_requests_total[1m]))"}),
    (
        "Answers by status",
        "reqps",
        {"{{status}}": "sum by (status) (rate(dream_http_requests_total[1m]))"},
    ),
    (
        "Time to answer, p95",
        "s",
        {"{{route}}": f"histogram_quantile(0.95, sum by (le, route) (rate({ANSWERS}[5m])))"},
    ),
    (
        "Errors per second",
        "short",
        {
            "Redis {{error}}": "sum by (error) (rate(dream_redis_errors_total[5m]))",
            "S3 {{error}}": "sum by (error) (rate(dream_s3_errors_total[5m]))",
        },
    ),
    ("S3 calls per second", "short", {"{{operation}}": "sum by (operation) (rate(dream_s3_requests_total[1m]))"}),
    ("Versions", "short", {"{{component}} {{version}}": "count by (component, version) (dream_build_info)"}),
)


def dashboard() -> dict[str, Any]:
    """Returns the dashboard in Grafana's format."""
    return {
        "uid": "dreamqueue",
        "title": "Dreamqueue",
        "tags": ["dreamqueue"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "15s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Source", "type": "datasource", "query": "prometheus", "current": {}}]
        },
        "panels": [_panel(number, *panel) for number, panel in enumerate(PANELS)],
    }


def _panel(number: int, title: str, unit: str, lines: dict[str, str]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "gridPos": {"x": number % 3 * WIDTH, "y": number // 3 * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list"}},
        "targets": [
            {"refId": chr(ord("A") + line), "datasource": source, "expr": query, "legendFormat": name}
            for line, (name, query) in enumerate(lines.items())
        ],
    }


def rule() -> str:
    """Returns the alerts as a PrometheusRule of the Prometheus operator."""
    groups = (MONITORING / "alerts.yml").read_text().split("\n", 1)[1]
    head = """\
# Generated from deploy/monitoring/alerts.yml by `make docs`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: dreamqueue
spec:
"""
    return head + "".join(f"  {line}\n" if line else "\n" for line in groups.splitlines())


def main() -> None:
    DASHBOARD.parent.mkdir(parents=True, exist_ok=True)
    DASHBOARD.write_text(json.dumps(dashboard(), indent=2) + "\n")
    RULE.write_text(rule())


if __name__ == "__main__":
    main()
