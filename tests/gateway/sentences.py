"""Reads off the source which sentences code without a catalogue says to operators."""

import ast
import builtins
import inspect
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import gateway

ROOT: Final = Path(gateway.__file__).parents[1]

PYTHON: Final = (
    "cascade",
    "certs",
    "sip",
    "media",
    "gateway/app.py",
    "gateway/chamber",
    "gateway/session",
    "gateway/side",
    "gateway/store",
)

TELLING: Final = {
    "Ending": 1,
    "Refusal": 1,
    "StreamFailed": 1,
    "lose": -1,
    "_lost": 0,
    "_settle": 1,
    "_end": 0,
}
"""Calls that hand on why something is over, and which argument says it; an exception says its first."""

SHOWN: Final = frozenset({"reason", "problem", "remedy", "lost"})
"""Fields of log records, and attributes, that hold a sentence."""

BUGS: Final = frozenset(
    {"UsageError", "RuntimeError", "AssertionError", "TypeError", "KeyError", "IndexError"}
)
"""What they say is for whoever mends the code, in a trace."""

QUIET_RUST: Final = frozenset(
    {
        # What they say is for whoever mends the code: a panic, a `repr`, or a misuse that Python raises.
        *(
            "audit-core/src/json.rs",
            "audit-core/src/moment.rs",
            "load/src/fleet.rs",
            "load/src/wire.rs",
            "py/src/load.rs",
        ),
        *("catalog-core/src/family.rs", "catalog-core/src/index.rs", "catalog-core/src/renewal.rs"),
        *("py/src/catalog.rs", "py/src/manscdp.rs", "py/src/relay.rs", "py/src/sip/engine.rs"),
        *("py/src/sip/event.rs", "py/src/sip/given.rs", "relay-core/src/twin.rs"),
        *("sip-core/src/codec/write.rs", "sip-core/src/core/mod.rs", "sip-core/src/nonce.rs"),
        *("py/src/sip/digests.rs", "sip-core/src/credentials.rs"),
        *(
            "sip-core/src/random.rs",
            "sip-core/src/ring.rs",
            "sip-core/src/slab.rs",
        ),
        # They write messages.
        *("manscdp-core/src/writer.rs", "sip-core/src/codec/status.rs", "sip-core/src/digest/answer.rs"),
        # Asked with what the configuration was checked for.
        *("catalog-core/src/mapping.rs", "catalog-core/src/selector.rs"),
        *("relay-core/src/network.rs", "sip-core/src/network.rs"),
    }
)
"""Below native/: all other files are read."""

_RUST_TOKENS: Final = re.compile(
    r"""//[^\n]*|b?'(?:\\.|[^'\\\n])'|b"(?:[^"\\]|\\.)*"|"(?P<text>(?:[^"\\]|\\.)*)\"""", re.DOTALL
)


class Sentence(NamedTuple):
    skeleton: str  # its text with {} for whatever is filled in
    place: str


def skeleton(text: str) -> str:
    return re.sub(r"\{[^{}]*\}", "{}", text)


def of_python() -> Iterator[Sentence]:
    for file in files():
        yield from _of_module(file)


def _of_module(file: Path) -> Iterator[Sentence]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        for value in _said(node):
            for text in _texts(value):
                if text.strip("{} "):
                    yield Sentence(text, f"{file.relative_to(ROOT)}:{value.lineno}")


def _said(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Attribute(attr="database"), attr="write"), args=[lost, *_]
        ):
            yield lost
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr="close"), args=[reason]):
            yield reason
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[_, *_] as args) if _tells(
            name
        ):
            yield from args[TELLING.get(name, 0) :][:1]
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and key.value in SHOWN:
                    yield value
        case ast.Assign(targets=[*targets], value=value):
            if any(isinstance(each, ast.Attribute) and each.attr in SHOWN for each in targets):
                yield value
        case ast.FunctionDef(name=name) if "objection" in name:
            yield from (each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value)


def _tells(name: str) -> bool:
    if name in BUGS:
        return False
    known = getattr(builtins, name, None)
    return (
        name in TELLING or name in exceptions() or (isinstance(known, type) and issubclass(known, Exception))
    )


@cache
def exceptions() -> frozenset[str]:
    """The exceptions that the code which is read defines."""
    found: set[str] = {"Exception"}
    while True:
        more = {
            node.name
            for file in files()
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.ClassDef)
            and any(isinstance(base, ast.Name) and base.id in found for base in node.bases)
        }
        if more <= found:
            return frozenset(found - BUGS)
        found |= more


def files() -> list[Path]:
    paths = [ROOT / part for part in PYTHON]
    return [file for path in paths for file in ([path] if path.suffix else sorted(path.rglob("*.py")))]


def _texts(value: ast.expr) -> Iterator[str]:
    """What an expression may say; what it passes on from elsewhere says nothing here."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one)
            yield from _texts(other)
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from _texts(part)
        case ast.Call(func=ast.Attribute(value=text, attr="rstrip")):
            for whole in _texts(text):
                yield from (whole, whole.removesuffix(" {}"))


def rust() -> dict[str, list[Sentence]]:
    """What each file of native code may say outside its tests: its literals of more than a word."""
    found: dict[str, list[Sentence]] = {}
    for file in sorted((ROOT / "native").glob("*/src/**/*.rs")):
        name = file.relative_to(ROOT / "native").as_posix()
        if not re.search(r"tests?\b", file.stem) and "/tests/" not in name:
            text = file.read_text(encoding="utf-8").partition("#[cfg(test)]")[0]
            found[name] = list(_of_rust(text, name))
    return found


def _of_rust(text: str, name: str) -> Iterator[Sentence]:
    for found in _RUST_TOKENS.finditer(text):
        said = found["text"]
        if said and " " in said and re.search("[a-z]{2}", said):
            yield Sentence(skeleton(said), f"native/{name}:{text.count(chr(10), 0, found.start()) + 1}")


def of_rust() -> Iterator[Sentence]:
    for name, sentences in rust().items():
        if name not in QUIET_RUST:
            yield from sentences


def of_tomllib() -> Iterator[Sentence]:
    """What the parser of this Python says of a file that is not TOML."""
    module = ast.parse(inspect.getsource(tomllib._parser))  # type: ignore[attr-defined]
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id="suffixed_err"), args=[_, _, what]):
                yield from (Sentence(text, f"tomllib:{what.lineno}") for text in _texts(what))
    for where in ("line {}, column {}", "end of document"):
        yield Sentence(f"{{}} (at {where})", "tomllib")
