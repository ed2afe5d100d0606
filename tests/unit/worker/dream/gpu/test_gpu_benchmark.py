"""Tests that `make bench-gpu` works where there is no GPU, since its users have one and we have none."""

import argparse

from rich.console import Console

from tests.benchmarks.engine import gpu
from worker.dream.ascent import device


def test_the_benchmark_compares_the_two_paths(lite0, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "ITERATIONS", 1)
    monkeypatch.setattr(gpu, "ROUNDS", 1)
    args = argparse.Namespace(short=True, large=False, host=tmp_path / "host")

    host = gpu.on_the_host(lite0, args)
    row = gpu.on_the_device(lite0, (240, 320), args, args.host) | {"host_us": host["320x240"]}

    if device.gpu() is None:
        assert row["gray_levels_from_host"] < 1e-3
    assert row["change_cosine_to_host"] > 0.999
    assert row["repeats_byte_for_byte"]
    assert row["one_iteration"]["fetches"] == 2
    assert set(row["us"]) == {"tiles of 256", "in bands"}
    with (console := Console(width=200)).capture() as printed:
        console.print(gpu.table({"network": lite0.name, "sizes": {"320x240": row}}))
    assert "320x240" in printed.get()
    assert gpu.about()["tensorflow_uses"] == (device.gpu() or "the CPU")
