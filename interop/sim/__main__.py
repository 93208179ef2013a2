"""`lockgate-sim`, and `python -m interop.sim`."""

import sys

PICTURES = frozenset({"av", "PIL"})
"""What only the simulators need; the gateway is installed without."""


def main() -> None:
    try:
        from interop.sim.cli import app
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] not in PICTURES:
            raise
        print(
            f"lockgate-sim makes and reads pictures, and {missing.name} is not installed. "
            "Install lockgate with its extra: lockgate[sim].",
            file=sys.stderr,
        )
        sys.exit(2)
    app()


if __name__ == "__main__":
    main()
