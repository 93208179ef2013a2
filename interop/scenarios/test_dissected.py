"""The demo as tshark and ffprobe see it: nothing malformed on the wire, and the relayed stream is a PS.

Capturing on the loopback needs root (or the capability) for dumpcap.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from interop.demo.cast import INNER, LOWER, OUTER, UPPER
from interop.demo.report import Report, read
from interop.scenarios.capture import capturing, judge
from interop.scenarios.probe import probe

HOSTS = (OUTER, INNER, LOWER, UPPER)
PATIENCE = 120


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """One run of the demo: the capture of all its datagrams, and its report."""
    folder = tmp_path_factory.mktemp("captured")
    capture, report = folder / "demo.pcapng", folder / "report.json"
    with capturing(capture, HOSTS):
        command = [sys.executable, "-m", "interop.demo", "--seconds", "6", "--no-tty", "--record"]
        command += ["--report", str(report), "--out", str(folder)]
        subprocess.run(command, check=True, timeout=PATIENCE)
    return capture, read(report)


def test_tshark_finds_nothing_malformed_and_every_request_answered(captured: tuple[Path, Report]) -> None:
    capture, report = captured
    ports = {socket.partition("#")[0].rpartition(":")[2] for socket in report.sockets}
    judge(capture, f"udp.dstport in {{{', '.join(ports)}}}", sip=100, sdp=16, rtp=1000)


def test_ffprobe_reads_the_relayed_program_streams(captured: tuple[Path, Report]) -> None:
    """What the upper platform received of each camera, as its own file."""
    capture, report = captured
    streams = sorted(capture.parent.glob("camera-*.ps"))
    assert len(streams) == len(report.streams)
    assert sum(probe(stream) for stream in streams) == report.frames_sent
