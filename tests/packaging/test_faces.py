"""import-linter sees `lockgate_native` as one name; which part each importer takes is checked here."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
FACES = {
    "audit": {"gateway/chamber/_native.py"},
    "sip": {"sip/_native.py"},
    "relay": {"media/_native.py"},
    "manscdp": {"cascade/manscdp/_native.py"},
    "catalog": {"cascade/model/index.py"},
    "load": {"interop/sim/_native.py"},
}


def test_each_native_part_has_exactly_one_face() -> None:
    importers = defaultdict(set)
    for package in ("gateway", "sip", "media", "cascade", "certs", "interop"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_bytes())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module:
                    names = [node.module]
                for name in names:
                    if name.split(".")[0] == "lockgate_native":
                        importers[name.partition(".")[2]].add(str(file.relative_to(ROOT)))
    assert dict(importers) == FACES
