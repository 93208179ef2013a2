"""Draws the table of docs/conformance.md: `python -m tests.sip.conformance` writes it anew."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
DOCUMENT: Final = HERE.parents[1] / "docs" / "conformance.md"
ROLES: Final = ("above", "below", "stranger")
FIRST: Final = "| message | point |"


def table(expected: Mapping[str, Mapping[str, Any]]) -> str:
    """One line for each message, in the order of the points."""
    lines = [f"{FIRST} above | below | stranger | why |", "|---|---|---|---|---|---|"]
    for rfc, rows in expected.items():
        for name, row in rows.items():
            outcomes = [_outcome(row, role) for role in ROLES]
            why = f"**stricter**: {row['stricter']}" if "stricter" in row else row.get("note", "")
            point = f"{rfc.removeprefix('rfc')} {row['point']}"
            lines.append(f"| {name} | {point} | {' | '.join(outcomes)} | {why} |")
    return "\n".join(lines) + "\n"


def _outcome(row: Mapping[str, Any], role: str) -> str:
    by_stream = row.get("stream", row)[role]
    return str(row[role]) if by_stream == row[role] else f"{row[role]}; by TCP {by_stream}"


def main() -> None:
    expected = tomllib.loads((HERE / "vectors" / "conformance.toml").read_text("utf-8"))
    before, _, after = DOCUMENT.read_text("utf-8").partition(FIRST)
    _, end, rest = after.partition("\n\n")
    DOCUMENT.write_text(before + table(expected) + ("\n" + rest if end else ""), "utf-8")


if __name__ == "__main__":
    main()
