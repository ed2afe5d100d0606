"""What a worker shows to Prometheus and to probes."""
