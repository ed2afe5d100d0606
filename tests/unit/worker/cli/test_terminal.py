"""Tests what the worker's commands show of native libraries' logs."""

import os

import pytest

from worker.cli.terminal import native_logs_hidden


def test_native_logs_are_hidden_and_later_output_is_not(capfd):
    with native_logs_hidden():
        os.write(2, b"I0000 oneDNN custom operations are on\n")
    os.write(2, b"after\n")

    assert capfd.readouterr().err == "after\n"


def test_native_logs_are_shown_when_loading_fails(capfd):
    def fail():
        with native_logs_hidden():
            os.write(2, b"libcudart.so is missing\n")
            raise ImportError

    with pytest.raises(ImportError):
        fail()

    assert capfd.readouterr().err == "libcudart.so is missing\n"
