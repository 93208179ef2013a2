"""`lockgate-sim`, and `python -m interop.sim`."""

import os
import sys

from interop.sim.troubles import tell_troubles
from interop.words.choice import choose, show_anything

PICTURES = frozenset({"av", "PIL"})
"""What only the simulators need; the gateway is installed without."""


def main() -> None:
    show_anything()
    words, arguments = choose(sys.argv[1:], os.environ)
    try:
        from interop.sim.cli import build
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] not in PICTURES:
            raise
        print(words.say("never.pictures", name=missing.name), file=sys.stderr)
        sys.exit(2)
    tell_troubles(words)
    build(words)(arguments)


if __name__ == "__main__":
    main()
