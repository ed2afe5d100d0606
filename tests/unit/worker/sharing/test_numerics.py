import subprocess
import sys

import pytest

from worker.sharing import numerics


@pytest.fixture(autouse=True)
def fresh():
    numerics.fingerprint.cache_clear()
    yield
    numerics.fingerprint.cache_clear()


def test_two_processes_on_one_host_have_the_same_numerics():
    code = (
        "from worker.sharing.numerics import fingerprint; import sys; print(fingerprint(), 'tensorflow' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == [numerics.fingerprint(), "False"]


@pytest.mark.parametrize(
    ("name", "value"), [("ONEDNN_MAX_CPU_ISA", "AVX"), ("TF_ENABLE_ONEDNN_OPTS", "0"), ("DNNL_MAX_CPU_ISA", "SSE41")]
)
def test_a_variable_that_changes_the_instructions_changes_the_numerics(monkeypatch, name, value):
    before = numerics.fingerprint()
    monkeypatch.setenv(name, value)
    numerics.fingerprint.cache_clear()
    assert numerics.fingerprint() != before


def test_workers_that_send_other_messages_do_not_help_each_other(monkeypatch):
    before = numerics.fingerprint()
    monkeypatch.setattr(numerics, "PROTOCOL", -1)
    numerics.fingerprint.cache_clear()
    assert numerics.fingerprint() != before


@pytest.mark.parametrize("what", ["_cpu", "_gpus", "_version"])
def test_another_processor_gpu_or_library_changes_the_numerics(monkeypatch, what):
    before = numerics.fingerprint()
    monkeypatch.setattr(numerics, what, lambda *_: ["another one"])
    numerics.fingerprint.cache_clear()
    assert numerics.fingerprint() != before
