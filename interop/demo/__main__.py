"""`make demo`: says its first line at once, runs the play as a child, and looks after it has gone.

The child (`interop.demo.play`) does everything; this process stays outside so that it can see, after
the child's exit, whether any socket was left behind.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from interop.words import Words, saying
from interop.words.choice import choose, show_anything


def main() -> int:
    started = time.time()
    show_anything()
    words, given = choose(sys.argv[1:], os.environ)
    if not {"-h", "--help"} & {*given}:
        print(words.say("demo.first_line"), flush=True)
    from interop.demo.options import arguments  # after the first line, which waits for nothing

    wanted = arguments(given, words)
    if wanted.two_hosts:
        from interop.netns import why_not

        if (reason := why_not()) is not None:
            print(words.say("demo.no_hosts", reason=reason), file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory(prefix="lockgate-demo-") as folder:
        report = wanted.report or Path(folder) / "report.json"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "interop.demo.play", "--lang", words.language]
        command += ["--report", str(report), "--out", str(wanted.out), "--seconds", str(wanted.seconds)]
        command += ["--cameras", str(wanted.cameras), "--plays", str(wanted.plays)]
        command += ["--started", str(started)]
        command += ["--record"] if wanted.record else []
        command += ["--no-tty"] if wanted.no_tty else []
        command += ["--two-hosts"] if wanted.two_hosts else []
        command += ["--parent", str(os.getpid())]
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
        return _look_back(report, code, words, stopped=bool(stopped))


def _look_back(report_file: Path, code: int, words: Words, *, stopped: bool) -> int:
    """Complete the report with what is seen from outside, tell it, and say how it went."""
    from interop.demo.orphans import inside, still_there
    from interop.demo.report import read
    from interop.demo.telling import summary

    if not report_file.is_file():
        if stopped and code == 0:
            print(words.say("demo.stopped_early"))
            return 0
        print(words.say("demo.no_report", code=code), file=sys.stderr)
        return code or 1
    report = read(report_file)
    left = still_there(report.sockets)
    if report.hosts is not None:
        left += inside(report.hosts.namespaces)
    report.orphans.after_exit = len(left)
    if left:
        report.problems.append(saying("problem.after_exit", sockets=", ".join(left)))
    report.write(report_file)
    print(summary(report, words), flush=True)
    return 1 if report.problems else code


if __name__ == "__main__":
    sys.exit(main())
