"""Pairs of files: bytes as a peer sends them, and the reading that is expected, with its source."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HERE = Path(__file__).parent


class Vector(NamedTuple):
    body: bytes
    expected: dict[str, Any]

    @property
    def refused(self) -> bool:
        return bool(self.expected.get("refused"))


def vectors(kind: str) -> pytest.MarkDecorator:
    """Run a test once for each vector of that folder, named after its file."""
    paths = sorted(path for path in (HERE / kind).iterdir() if path.suffix != ".json")
    assert paths, kind
    return pytest.mark.parametrize("vector", list(map(load, paths)), ids=[path.stem for path in paths])


def load(path: Path) -> Vector:
    expected = json.loads(path.with_name(f"{path.stem}.expected.json").read_text("utf-8"))
    assert expected.pop("source")
    return Vector(path.read_bytes(), expected)
