"""`python -m interop.demo.selftest`: is the demo's report to be believed? Breaks each promise on purpose.

Each fault of `interop.demo.faults` gets a short run of its own, a real one in processes of its own,
and must be told: by the exit code, by its field of the report, and by a sentence. The run without a
fault must hold.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from interop.demo.faults import FAULTS, HOSTS_FAULTS
from interop.demo.report import Report, RungReport, SpokenReport, read
from interop.netns import why_not
from interop.words import ENGLISH

SECONDS: Final = 1.0
CAMERAS: Final = 8
PLAYS: Final = 1
PATIENCE: Final = 120


@dataclass(frozen=True, slots=True)
class Telling:
    """How the report must tell of a fault: `field` is what is wrong in it, `sentence` a pattern (English)."""

    field: Callable[[Report], bool]
    sentence: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run came to; `report` is None where it wrote none."""

    code: int
    report: Report | None
    said: str


TELLING: Final[Mapping[str, Telling]] = {
    "byte": Telling(lambda report: not report.payload_identical, "SHA-256 over the PS bytes differ"),
    "loss": Telling(lambda report: bool(report.packets_lost), r"[1-9]\d* packets were lost"),
    "camera": Telling(
        lambda report: any(stream.frames_wrong for stream in report.streams), "showed another camera"
    ),
    "silent": Telling(lambda report: report.frames_sent == 0, "0 frames were decoded of 0 sent"),
    "busy": Telling(lambda report: len(report.streams) == 0, "0 of 1 cameras played"),
    "page": Telling(lambda report: report.channels_received < report.channels_shared, "received . of 4"),
    "missing": Telling(lambda report: report.channels_offered == 7, "offered 7 of 8 cameras"),
    "hidden": Telling(lambda report: report.interrupted, "Registration and catalog took more than 2 s"),
    "ptz": Telling(
        lambda report: (
            [refused.asked for refused in report.refused] == ["play"] and report.controls_below == 1
        ),
        "PTZ, which a rule forbids, was not refused",
    ),
    "voice": Telling(
        lambda report: isinstance(report.spoken, SpokenReport) and not report.spoken.identical,
        "SHA-256 over the voice differ",
    ),
    "mute": Telling(
        lambda report: report.spoken is None and report.audit_refused.get("speak") == 1,
        "could not be spoken to: .* 403",
    ),
    "hang_up": Telling(
        lambda report: isinstance(report.spoken, SpokenReport) and report.spoken.ended_below == "left",
        "was not ended by hanging up above",
    ),
    "unrung": Telling(
        lambda report: isinstance(report.rung, RungReport) and not report.rung.heard,
        "The alarm of .* was not heard above",
    ),
    "forgotten": Telling(
        lambda report: isinstance(report.rung, RungReport) and report.rung.crossed and not report.rung.once,
        "Of 2 alarms these were heard above",
    ),
    "port": Telling(lambda report: report.orphans.sockets > 0, r"left behind: .* [1-9]\d* sockets"),
    "session": Telling(lambda report: report.orphans.tables > 0, r"left behind: [1-9]\d* sessions"),
    "outlive": Telling(lambda report: report.orphans.after_exit == 1, "left behind after exit"),
    "edited": Telling(lambda report: not report.audit_verified, r"Record 1 \(line 1\) was edited"),
    "removed": Telling(lambda report: not report.audit_verified, "Record 2 is missing or moved"),
    "reordered": Telling(lambda report: not report.audit_verified, "Record 2 is missing or moved"),
    "cut": Telling(lambda report: not report.audit_refused, "no record of the refusal by the rule no-ptz"),
    "pictures": Telling(lambda report: bool(report.snapshots), "0 of 1 pictures"),
    "bypass": Telling(
        lambda report: report.hosts is not None and not report.hosts.apart, "went around the gateway to"
    ),
    "unmended": Telling(
        lambda report: (
            report.hosts is not None and report.hosts.outage is not None and not report.hosts.outage.recovered
        ),
        "Not everything recovered",
    ),
}


def run(fault: str, *, two_hosts: bool = False) -> Outcome:
    """One short demo with that fault, over two hosts where it is one of theirs or is asked for."""
    with tempfile.TemporaryDirectory(prefix="lockgate-selftest-") as folder:
        file = Path(folder) / "report.json"
        command = [
            sys.executable,
            "-m",
            "interop.demo",
            "--lang",
            "en",
            "--no-tty",
            "--seconds",
            str(SECONDS),
        ]
        command += ["--cameras", str(CAMERAS), "--plays", str(PLAYS), "--break", fault]
        command += ["--two-hosts"] if two_hosts or fault in HOSTS_FAULTS else []
        command += ["--report", str(file), "--out", folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        report = read(file) if file.is_file() else None
        return Outcome(done.returncode, report, done.stdout + done.stderr)


def verdict(fault: str, outcome: Outcome) -> str:
    """What is wrong with how the demo told of that fault; "" when nothing is."""
    report = outcome.report
    if report is None:
        return f"no report; it said: {outcome.said}"
    if fault not in TELLING:
        return "" if outcome.code == 0 and not report.problems else f"should hold: {report.problems}"
    telling = TELLING[fault]
    if outcome.code == 0:
        return "the exit code is 0"
    if not telling.field(report):
        return f"its field of the report is as if nothing were wrong; problems: {report.problems}"
    said = [ENGLISH.render(problem) for problem in report.problems]
    if not any(re.search(telling.sentence, sentence) for sentence in said):
        return f"no sentence says {telling.sentence!r}: {said}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    every = {**FAULTS, **HOSTS_FAULTS}
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(every)}; default: all")
    parser.add_argument("--jobs", type=int, default=4, help="runs at once (4)")
    wanted = parser.parse_args()
    missing = why_not()
    if missing is not None and not wanted.faults:
        print(f"{', '.join(HOSTS_FAULTS)}: left out. {ENGLISH.render(missing)}")
    faults = wanted.faults or list(FAULTS if missing is not None else every)
    with ThreadPoolExecutor(wanted.jobs) as workers:
        wrong = 0
        for fault, outcome in zip(faults, workers.map(run, faults), strict=True):
            what = verdict(fault, outcome)
            wrong += bool(what)
            told = f"NOT TOLD: {what}" if what else "Told."
            print(f"{fault:10} {every[fault].__doc__} {told}", flush=True)
    print(f"{wrong} of {len(faults)} were not told." if wrong else "The report tells of everything.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
