"""A worker's metrics for Prometheus, and its liveness file for probes."""
