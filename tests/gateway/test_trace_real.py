"""`lockgate trace` and `lockgate status` as programs, asking a gateway that runs as another process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from interop.demo.cast import UPPER_ID, quiet_cast, write_config

TRIES = 5
PATIENCE = 60.0
pytestmark = pytest.mark.usefixtures("alone")
"""Seconds until a test that hangs is given up; nothing is measured by it."""

ENVIRONMENT = {
    **os.environ,
    "COLUMNS": "132",
    "LINES": "50",
    "PYTHONIOENCODING": "utf-8",
    "LC_ALL": "C.UTF-8",
}


def lockgate(folder: Path, *arguments: str, code: int = 0) -> str:
    """Standard output and standard error of one command, of which the exit code is checked."""
    command = [sys.executable, "-m", "gateway", *arguments, "--config", str(folder / "gateway.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=ENVIRONMENT)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """The gateway alone, with nobody on either network. Another test may take its port before it does."""
    for _ in range(TRIES):
        write_config(folder, "secret", cast=quiet_cast())
        with _process(folder) as ready:
            if ready:
                yield
                return
    pytest.fail("no port is free for long enough")


@contextmanager
def _process(folder: Path) -> Iterator[bool]:
    """Whether it came up."""
    command = [sys.executable, "-m", "gateway", "run", "--config", str(folder / "gateway.toml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stderr is not None
        ready = any("gateway.ready" in line for line in process.stderr)
        try:
            yield ready
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()


def test_a_running_gateway_is_asked_and_a_stopped_one_says_so(tmp_path: Path) -> None:
    write_config(tmp_path, "secret", cast=quiet_cast())
    absent = lockgate(tmp_path, "trace", UPPER_ID, code=2)
    assert "No gateway runs on this configuration" in absent
    assert "lockgate run" in absent
    with running(tmp_path):
        shown = lockgate(tmp_path, "status")
        for text in ("outer", "lock", "inner", f"not registered at {UPPER_ID}", "0/1"):
            assert text in shown
        file = tmp_path / "trace.pcapng"
        told = lockgate(tmp_path, "trace", UPPER_ID, "--pcapng", str(file))
        assert f"REGISTER {UPPER_ID}" in told
        assert "is not answered" in told or "was not answered" in told
        assert file.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
        assert file.stat().st_mode & 0o077 == 0
        assert "Nothing is known of it" in lockgate(tmp_path, "trace", "34020000001320000001", code=1)
        with_interrupt(tmp_path)
    assert "No gateway runs" in lockgate(tmp_path, "status", code=2)


def with_interrupt(folder: Path) -> None:
    """`--follow` shows what comes until Ctrl-C, and then the sentence."""
    command = [
        *(sys.executable, "-m", "gateway", "trace", UPPER_ID, "--follow"),
        *("--config", str(folder / "gateway.toml")),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "REGISTER" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert "REGISTER to " in rest
