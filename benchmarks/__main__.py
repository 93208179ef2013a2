"""`make bench`: run every benchmark (or those named), then draw docs/benchmarks.md."""

import importlib
import pkgutil
import sys

import benchmarks
from benchmarks.page import draw


def main(wanted: list[str]) -> int:
    found = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    names = [name for name in found if name.startswith("bench_")]
    for name in names:
        if wanted and name.removeprefix("bench_") not in wanted:
            continue
        print(f"benchmark {name.removeprefix('bench_')} …", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()
    draw()
    print("wrote docs/benchmarks.md")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
