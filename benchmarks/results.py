"""The one shape of a result, and the page drawn from all of them.

A result is a list of objects with `work`, `value`, `unit`, `bar`, `aim`, `better` (`lower` or
`higher`), `raw` (figures of every side of a ratio), `machine`, `commit`.
"""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, to_builtins

RESULTS = Path(__file__).parent / "results"


class Result(Struct, frozen=True, kw_only=True):
    work: str
    value: float
    unit: str
    better: Literal["lower", "higher"]
    bar: float | None = None  # None: reported, not yet promised
    aim: float | None = None
    raw: Mapping[str, Any] = {}
    machine: str = ""
    commit: str = ""

    @property
    def held(self) -> bool | None:
        """Whether the bar holds; None where there is none."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.better == "lower" else self.value >= self.bar


def machine() -> str:
    """Processor, cores and versions: what a figure needs to be read."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    changed = subprocess.run(
        ["git", "status", "--porcelain", "-uno", "--", ":!benchmarks/results", ":!docs"],
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout.strip() or "no commit") + ("+" if changed.stdout.strip() else "")


def save(name: str, results: Sequence[Result]) -> None:
    """Write results/NAME.json, stamped with machine and commit; empty where a peer is missing."""
    RESULTS.mkdir(exist_ok=True)
    here, now = machine(), commit()
    stamped = [{**to_builtins(result), "machine": here, "commit": now} for result in results]
    (RESULTS / f"{name}.json").write_text(json.dumps(stamped, indent=2, ensure_ascii=False) + "\n")


def load() -> dict[str, list[dict[str, Any]]]:
    return {file.stem: json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))}
