"""How long the doors take, warm: `make lint types` and `make test`, the whole suite with Rust."""

import subprocess
import time

from benchmarks.results import Result, save


def main() -> None:
    """Run both doors as a developer would; a failing door is not a figure."""
    results = []
    for doors, bar in ((["lint", "types"], 60.0), (["test"], 240.0)):
        start = time.monotonic()
        subprocess.run(["make", *doors], check=True, capture_output=True)
        seconds = round(time.monotonic() - start, 1)
        work = f"make {' '.join(doors)}, warm"
        results.append(Result(work=work, value=seconds, unit="s", better="lower", bar=bar))
    save("doors", results)
