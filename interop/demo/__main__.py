"""`make demo`: says its first line at once, runs the play as a child, and looks after it has gone.

The child (`interop.demo.play`) does everything; this process stays outside so that it can see, after
the child's exit, whether any socket was left behind.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to play (default 30)")
    parser.add_argument("--report", type=Path, help="write the report as JSON to this file")
    parser.add_argument("--no-tty", action="store_true", help="plain lines instead of the live view")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder for pictures (demo-out)")
    parser.add_argument("--record", action="store_true", help="save each received stream as camera-ID.ps")
    parser.add_argument("--cameras", type=int, default=200, help="cameras of the lower platform (200)")
    parser.add_argument("--plays", type=int, default=4, help="cameras played at once (4)")
    parser.add_argument("--break", dest="fault", help=argparse.SUPPRESS)  # for interop.demo.selftest
    return parser.parse_args()


def main() -> int:
    print("Lockgate demo: two networks on this machine, one lock between them. Starting …", flush=True)
    started = time.time()
    wanted = arguments()
    with tempfile.TemporaryDirectory(prefix="lockgate-demo-") as folder:
        report = wanted.report or Path(folder) / "report.json"
        report.unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "interop.demo.play",
            "--report",
            str(report),
            "--out",
            str(wanted.out),
        ]
        command += ["--out", str(wanted.out), "--seconds", str(wanted.seconds)]
        command += ["--cameras", str(wanted.cameras), "--plays", str(wanted.plays)]
        command += ["--started", str(started)]
        command += ["--record"] if wanted.record else []
        command += ["--no-tty"] if wanted.no_tty else []
        command += ["--break", wanted.fault] if wanted.fault else []
        # Ctrl-C reaches the child too, which ignores it (inherited) until it is ready to stop in good order.
        # Before that, our SIGTERM ends it without a word.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        child = subprocess.Popen(command)
        stopped: list[int] = []

        def stop(received: int, _frame: object) -> None:
            stopped.append(received)
            child.terminate()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        code = child.wait()
        if stopped and code == -signal.SIGTERM:
            code = 0  # before it was ready, or after it had finished
        return _look_back(report, code, stopped=bool(stopped))


def _look_back(report_file: Path, code: int, *, stopped: bool) -> int:
    """Complete the report with what is seen from outside, tell it, and say how it went."""
    from interop.demo.orphans import still_there
    from interop.demo.report import read, summary

    if not report_file.is_file():
        if stopped and code == 0:
            print("Stopped before anything had begun.")
            return 0
        print(f"The demo ended without a report (exit code {code}).", file=sys.stderr)
        return code or 1
    report = read(report_file)
    left = still_there(report.sockets)
    report.orphans.after_exit = len(left)
    if left:
        report.problems.append(f"Sockets were left behind after exit: {', '.join(left)}.")
    report.write(report_file)
    print(summary(report), flush=True)
    return 1 if report.problems else code


if __name__ == "__main__":
    sys.exit(main())
