"""`make demo ARGS=--two-hosts` as its user meets it: its report, its faults, Ctrl-C, and a sudden death."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from interop.demo.faults import HOSTS_FAULTS
from interop.demo.report import read
from interop.demo.selftest import run, verdict
from interop.scenarios.programs import PATIENCE


@pytest.mark.parametrize("fault", ["none", *HOSTS_FAULTS])
def test_it_holds_and_tells_of_each_fault_of_two_hosts(fault: str) -> None:
    outcome = run(fault, two_hosts=True)
    assert verdict(fault, outcome) == ""
    if fault == "none":
        assert outcome.report is not None
        assert {"apart", "recovered", "identical", "nothing_left"} <= {*outcome.report.checked}
        assert outcome.report.not_checked == []


@contextmanager
def demo(folder: Path, word: str) -> Iterator[subprocess.Popen[str]]:
    """A long run that has come to where it says `word`, and that is over when the context is left."""
    command = [sys.executable, "-m", "interop.demo", "--lang", "en", "--two-hosts", "--no-tty"]
    command += ["--seconds", "500", "--cameras", "8", "--plays", "1", "--out", str(folder)]
    command += ["--report", str(folder / "report.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if word in line:
                    break
            yield process
        finally:
            process.kill()


def descendants(pid: int) -> dict[int, str]:
    """Descriptors of the processes below that one, and the networks they are in."""
    found, waiting = {}, [pid]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found[os.pidfd_open(child)] = str(Path(f"/proc/{child}/ns/net").readlink())
                waiting.append(child)
    return found


def test_ctrl_c_ends_it_in_good_order(tmp_path: Path) -> None:
    with demo(tmp_path, "playing") as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    report = read(tmp_path / "report.json")
    assert report.interrupted
    assert report.problems == []
    assert report.orphans.total == 0


def test_nothing_of_it_outlives_a_kill(tmp_path: Path) -> None:
    """SIGKILL of the process that its user started: play and hosts end, and their networks with them."""
    with demo(tmp_path, "playing") as process:
        below = descendants(process.pid)
        own = str(Path("/proc/self/ns/net").readlink())
        apart = {network for network in below.values() if network != own}
        assert len(apart) == 2
        process.kill()
    for descriptor in below:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(PATIENCE * 1000)
        os.close(descriptor)
    left = set()
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            left.add(str(link.readlink()))
        except OSError:
            continue
    assert not left & apart
