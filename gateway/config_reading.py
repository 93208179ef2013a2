"""From a TOML file to a typed document, with everything that does not fit named at once."""

import difflib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct, inspect, structs

from cascade.model.ids import PeerName
from cascade.model.secret import Secret

D = TypeVar("D", bound=Struct)

MAX_FILE_BYTES: Final = 16 * 1024 * 1024


class Problem(Struct, frozen=True):
    """One thing that is wrong, for the person who wrote it."""

    file: str
    key: str  # dotted; `outer.lower[#2].id` is of the second [[outer.lower]]
    what: str
    remedy: str
    warning: bool = False  # it runs, but probably not as meant

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{'warning: ' if self.warning else ''}{where}: {self.what} {self.remedy}"


def read(path: Path, kind: type[D], *, secret: bool = False) -> tuple[D | None, list[Problem]]:
    """The document, or None and what keeps it from being read. `secret`: show no value of it."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            return None, [Problem(str(path), "", "The file is larger than 16 MiB.", "Write a smaller one.")]
        document = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        remedy = 'Write one with "lockgate init", or name another file.'
        return None, [Problem(str(path), "", f"The file cannot be read: {error.strerror}.", remedy)]
    except UnicodeDecodeError as error:
        what = f"The file is not UTF-8 text (byte {error.start})."
        return None, [Problem(str(path), "", what, "Save it as UTF-8.")]
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = str(error) or "nested too deeply"
        return None, [Problem(str(path), "", f"This is not TOML: {reason}.", "Mend that line.")]
    problems = [
        Problem(str(path), key, what, remedy) for key, what, remedy in _misfits(document, kind, "", secret)
    ]
    if problems:
        return None, problems
    return msgspec.convert(document, kind, dec_hook=_typed), []


Misfit = tuple[str, str, str]
"""Key, what is wrong, what to write."""


def _misfits(value: object, kind: Any, key: str, secret: bool) -> Iterator[Misfit]:
    if isinstance(kind, type) and issubclass(kind, Struct):
        if isinstance(value, dict):
            yield from _in_table(value, kind, key, secret)
        else:
            yield key, "This is not a table.", f"Write it as [{key}] with a line for each key."
    elif (many := _many(kind)) is not None:
        if isinstance(value, list):
            for number, part in enumerate(value, start=1):
                yield from _misfits(part, many, f"{key}[#{number}]", secret)
        else:
            yield key, "This is not a list of tables.", f"Write each as [[{key}]]."
    else:
        yield from _in_value(value, kind, key, secret)


def _in_table(table: dict[str, object], kind: type[Struct], key: str, secret: bool) -> Iterator[Misfit]:
    known = {field.encode_name: field for field in structs.fields(kind)}
    for name, value in table.items():
        if name in known:
            yield from _misfits(value, known[name].type, _join(key, name), secret)
        else:
            yield _join(key, name), "This key is not known.", _suggestion(name, list(known))
    for name, field in known.items():
        if field.required and name not in table:
            many = _many(field.type) is not None
            table_itself = isinstance(field.type, type) and issubclass(field.type, Struct)
            shape = f"[[{_join(key, name)}]]" if many else f"[{_join(key, name)}]"
            remedy = f"Add {shape}." if many or table_itself else f"Write {name} = {_wanted(field.type)}."
            yield _join(key, name), "This is missing.", remedy


def _in_value(value: object, kind: Any, key: str, secret: bool) -> Iterator[Misfit]:
    try:
        msgspec.convert(value, kind, dec_hook=_typed)
    except msgspec.ValidationError:
        shown = "This" if secret else json.dumps(value, ensure_ascii=False, default=str)[:80]
        yield key, f"{shown} does not fit.", f"Write {_wanted(kind)}."


def _typed(kind: type[Any], value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("not text")
    if kind is Secret and not value:
        raise ValueError("empty")
    return kind(value)


def _many(kind: Any) -> type[Struct] | None:
    """The table of a list of tables."""
    if get_origin(kind) is tuple:
        first = get_args(kind)[0]
        if isinstance(first, type) and issubclass(first, Struct):
            return first
    return None


def _wanted(kind: Any) -> str:
    return _words(inspect.type_info(kind))


def _words(wanted: inspect.Type) -> str:
    """What fits, in words."""
    match wanted:
        case inspect.Metadata(type=inner):
            return _words(inner)
        case inspect.LiteralType(values=values):
            return " or ".join(f'"{value}"' for value in values)
        case inspect.IntType():
            return f"a whole number{_range(wanted)}"
        case inspect.FloatType():
            return f"a number{_range(wanted)}"
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType(max_length=most):
            return "a text in quotes" + (f" of 1 to {most} characters" if most else "")
        case inspect.CustomType(cls=cls) if issubclass(cls, PeerName):
            return "an id in quotes, 1 to 64 printable characters"
        case inspect.CustomType():
            return "a text in quotes that is not empty"
        case inspect.VarTupleType(item_type=item, min_length=least):
            return (
                "a list in brackets" + (", not empty" if least else "") + f", of which each is {_words(item)}"
            )
        case inspect.TupleType(item_types=items):
            return "[" + ", ".join(_words(item) for item in items) + "]"
        case inspect.DictType(value_type=item):
            return f'lines "id" = {_words(item)}'
        case _:
            return "another value"


def _range(number: inspect.IntType | inspect.FloatType) -> str:
    over = f" above {number.gt:g}" if number.gt is not None else ""
    least = f" from {number.ge:,}" if number.ge is not None else ""
    most = f" up to {number.le:,}" if number.le is not None else ""
    return over + least + most


def _suggestion(name: str, known: list[str]) -> str:
    if "password" in name.lower():
        return "Passwords belong in the secrets file, under [outer.passwords] or [inner.passwords]."
    if close := difflib.get_close_matches(name, known, n=1):
        return f'Write "{close[0]}" if that is meant, or remove it.'
    return f"Remove it; known here: {', '.join(known)}."


def _join(key: str, name: str) -> str:
    shown = name if name and all(sign.isalnum() or sign in "-_" for sign in name) else json.dumps(name)
    return f"{key}.{shown}" if key else shown
