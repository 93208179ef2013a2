"""`make bench`: run every benchmark (or those named), then draw docs/benchmarks.md.

The doors (the whole suite), the soak and the storm are measured where they are named alone, as in
`make bench ARGS=doors`: each takes long.
"""

import importlib
import pkgutil
import sys
from typing import Final

import benchmarks
from benchmarks.page import draw

BY_NAME: Final = frozenset({"doors", "soak", "storm"})


def main(wanted: list[str]) -> int:
    found = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    names = [name.removeprefix("bench_") for name in found if name.startswith("bench_")]
    for name in names:
        if name not in wanted and (wanted or name in BY_NAME):
            if not wanted:
                print(f"benchmark {name}: left out, it takes long; make bench ARGS={name}")
            continue
        print(f"benchmark {name} …", flush=True)
        importlib.import_module(f"benchmarks.bench_{name}").main()
    draw()
    print("wrote docs/benchmarks.md")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
