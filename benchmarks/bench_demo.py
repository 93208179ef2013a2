"""What a newcomer waits for: the demo's first line, its first picture, and the delay of the picture."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.results import Result, save
from interop.demo.report import Delay, read


def main() -> None:
    """Run the demo once for 15 s, warm, and read its report."""
    with tempfile.TemporaryDirectory() as folder:
        report_file = Path(folder) / "report.json"
        command = [sys.executable, "-m", "interop.demo", "--seconds", "15", "--no-tty"]
        command += ["--report", str(report_file), "--out", folder]
        start = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            first_line = time.monotonic() - start
            child.stdout.read()
        report = read(report_file)
    if report.problems or not isinstance(report.delay_ms, Delay) or report.first_picture_seconds is None:
        raise SystemExit(f"the demo did not hold: {report.problems}")
    raw = {"setup_ms": report.setup_ms, "delay_ms": [report.delay_ms.p50, report.delay_ms.p99]}
    save(
        "demo",
        [
            Result(work="demo: first line", value=round(first_line, 3), unit="s", better="lower", bar=1.0),
            Result(
                work="demo: first decoded picture above",
                value=round(report.first_picture_seconds, 2),
                unit="s",
                better="lower",
                bar=10.0,
            ),
            Result(
                work="demo: INVITE to first RTP above, slowest of four",
                value=round(max(report.setup_ms), 1),
                unit="ms",
                better="lower",
                raw=raw,
            ),
            Result(
                work="demo: glass to glass, p50",
                value=round(report.delay_ms.p50, 1),
                unit="ms",
                better="lower",
                raw=raw,
            ),
            Result(
                work="demo: glass to glass, p99 at 25 fps",
                value=round(report.delay_ms.p99, 1),
                unit="ms",
                better="lower",
                bar=250.0,
                raw=raw,
            ),
        ],
    )
