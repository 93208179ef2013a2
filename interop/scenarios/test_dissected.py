"""The demo as tshark and ffprobe see it: nothing malformed on the wire, and the relayed stream is a PS.

Capturing on the loopback needs root (or the capability) for dumpcap.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from interop.demo.report import Report, read
from interop.demo.scene import INNER, LOWER, OUTER, UPPER

PATIENCE = 120


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """One run of the demo: the capture of all its datagrams, and its report."""
    folder = tmp_path_factory.mktemp("captured")
    capture, report = folder / "demo.pcapng", folder / "report.json"
    with capturing(capture):
        command = [sys.executable, "-m", "interop.demo", "--seconds", "6", "--no-tty", "--record"]
        command += ["--report", str(report), "--out", str(folder)]
        subprocess.run(command, check=True, timeout=PATIENCE)
    return capture, read(report)


@contextmanager
def capturing(file: Path) -> Iterator[None]:
    """Capture what the demo's four addresses send, from the moment dumpcap says that it does."""
    hosts = " or ".join(f"host {address}" for address in (OUTER, INNER, LOWER, UPPER))
    command = ["dumpcap", "-i", "lo", "-f", f"udp and ({hosts})", "-w", str(file), "-B", "64"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as dumpcap:
        assert dumpcap.stderr is not None
        said = []
        for line in dumpcap.stderr:
            said.append(line)
            if line.startswith("File:"):
                break
        else:
            pytest.fail(f"dumpcap can't capture on the loopback; run as root. It said: {''.join(said)}")
        try:
            yield
        finally:
            dumpcap.terminate()
            dumpcap.communicate()


def fields(capture: Path, wanted: str, *names: str) -> list[list[str]]:
    """The named fields of every packet that matches the display filter."""
    command = ["tshark", "-r", str(capture), "-Y", wanted, "-T", "fields", "-E", "separator=/t"]
    for name in names:
        command += ["-e", name]
    environment = {**os.environ, "HOME": str(capture.parent)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_tshark_finds_nothing_malformed(captured: tuple[Path, Report]) -> None:
    capture, _ = captured
    assert fields(capture, "_ws.malformed", "frame.number", "ip.src", "frame.protocols") == []
    for protocol, at_least in (("sip", 100), ("sdp", 16), ("rtp", 1000)):
        assert len(fields(capture, protocol, "frame.number")) >= at_least, protocol


def test_every_sip_request_was_answered(captured: tuple[Path, Report]) -> None:
    capture, _ = captured
    asked = {
        (call, sequence)
        for call, sequence, method in fields(capture, "sip.Method", "sip.Call-ID", "sip.CSeq", "sip.Method")
        if method != "ACK"
    }
    final = fields(capture, "sip.Status-Code >= 200", "sip.Call-ID", "sip.CSeq")
    assert asked == {(call, sequence) for call, sequence in final}


def test_ffprobe_reads_the_relayed_program_streams(captured: tuple[Path, Report]) -> None:
    """What the upper platform received of each camera, as its own file."""
    capture, report = captured
    streams = sorted(capture.parent.glob("camera-*.ps"))
    assert len(streams) == len(report.streams)
    frames = 0
    for stream in streams:
        command = ["ffprobe", "-v", "error", "-f", "mpeg", "-count_frames", "-show_streams", "-of", "json"]
        done = subprocess.run([*command, str(stream)], check=True, capture_output=True, text=True)
        assert done.stderr == ""
        (video,) = json.loads(done.stdout)["streams"]
        assert (video["codec_name"], video["width"], video["height"]) == ("h264", 640, 360)
        frames += int(video["nb_read_frames"])
    assert frames == report.frames_sent
