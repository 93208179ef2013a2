"""From a TOML file to a typed document, with everything that does not fit named at once."""

import difflib
import functools
import json
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct, inspect, structs

from cascade.model.ids import PeerName
from gateway.words import ENGLISH, Saying, Words, saying
from gateway.words.sentences import recognised
from gateway.words.system import reason

D = TypeVar("D", bound=Struct)

MAX_FILE_BYTES: Final = 16 * 1024 * 1024


class Problem(Struct, frozen=True):
    """One thing that is wrong, for the person who wrote it."""

    file: str
    key: str  # dotted; `outer.lower[#2].id` is of the second [[outer.lower]]
    what: Saying  # what is wrong, and what to write
    warning: bool = False  # it runs, but probably not as meant

    def said(self, words: Words) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        if self.warning:
            return words.say("problem.odd", where=where, what=self.what)
        return words.say("problem.wrong", where=where, what=self.what)

    def __str__(self) -> str:
        return self.said(ENGLISH)


def read(
    path: Path,
    kind: type[D],
    *,
    filled: Callable[[dict[str, Any]], dict[str, Any]] = lambda document: document,
) -> tuple[D | None, list[Problem]]:
    """The document, or None and what keeps it from being read.

    `filled` adds what need not be written.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            return None, [Problem(str(path), "", saying("config.too_large"))]
        document = filled(tomllib.loads(data.decode("utf-8")))
    except OSError as error:
        return None, [Problem(str(path), "", saying("config.unreadable", reason=reason(error)))]
    except UnicodeDecodeError as error:
        return None, [Problem(str(path), "", saying("config.not_utf8", byte=error.start))]
    except tomllib.TOMLDecodeError as error:
        return None, [Problem(str(path), "", saying("config.not_toml", reason=recognised(str(error))))]
    except RecursionError:
        return None, [Problem(str(path), "", saying("config.nested"))]
    problems = [Problem(str(path), key, what) for key, what in _misfits(document, kind, "")]
    if problems:
        return None, problems
    return msgspec.convert(document, kind, dec_hook=_typed), []


Misfit = tuple[str, Saying]
"""Key, and what is wrong with it."""


def _misfits(value: object, kind: Any, key: str) -> Iterator[Misfit]:
    if isinstance(kind, type) and issubclass(kind, Struct):
        if isinstance(value, dict):
            yield from _in_table(value, kind, key)
        else:
            yield key, saying("config.no_table", key=key)
    elif (many := _many(kind)) is not None:
        if isinstance(value, list):
            for number, part in enumerate(value, start=1):
                yield from _misfits(part, many, f"{key}[#{number}]")
        else:
            yield key, saying("config.no_tables", key=key)
    else:
        yield from _in_value(value, kind, key)


def _in_table(table: dict[str, object], kind: type[Struct], key: str) -> Iterator[Misfit]:
    known = _known(kind)
    for name, value in table.items():
        if name in known:
            yield from _misfits(value, known[name].type, _join(key, name))
        else:
            yield _join(key, name), _unknown(name, list(known))
    for name, field in known.items():
        if field.required and name not in table:
            place = _join(key, name)
            if _many(field.type) is not None:
                yield place, saying("config.missing_table", table=f"[[{place}]]")
            elif isinstance(field.type, type) and issubclass(field.type, Struct):
                yield place, saying("config.missing_table", table=f"[{place}]")
            else:
                yield place, saying("config.missing_key", name=name, wanted=_wanted(field.type))


@functools.cache
def _known(kind: type[Struct]) -> dict[str, structs.FieldInfo]:
    return {field.encode_name: field for field in structs.fields(kind)}


def _in_value(value: object, kind: Any, key: str) -> Iterator[Misfit]:
    try:
        msgspec.convert(value, kind, dec_hook=_typed)
    except msgspec.ValidationError:
        shown = json.dumps(value, ensure_ascii=False, default=str)[:80]
        yield key, saying("config.misfit", value=shown, wanted=_wanted(kind))


def _typed(kind: type[Any], value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("not text")
    return kind(value)


def _many(kind: Any) -> type[Struct] | None:
    """The table of a list of tables."""
    if get_origin(kind) in {tuple, Sequence}:
        first = get_args(kind)[0]
        if isinstance(first, type) and issubclass(first, Struct):
            return first
    return None


def _wanted(kind: Any) -> Saying:
    return _fitting(inspect.type_info(kind))


def _fitting(wanted: inspect.Type) -> Saying:
    """What fits, in words."""
    match wanted:
        case inspect.Metadata(type=inner):
            return _fitting(inner)
        case inspect.UnionType(types=types) if not all(isinstance(each, inspect.NoneType) for each in types):
            return _fitting(next(each for each in types if not isinstance(each, inspect.NoneType)))
        case inspect.LiteralType(values=values):
            quoted = [saying("fits.literal", value=str(value)) for value in values]
            return functools.reduce(lambda one, other: saying("fits.either", one=one, other=other), quoted)
        case inspect.IntType():
            return saying("fits.whole", range=_range(wanted))
        case inspect.FloatType():
            return saying("fits.number", range=_range(wanted))
        case inspect.BoolType():
            return saying("fits.truth")
        case inspect.StrType(max_length=int(most)):
            return saying("fits.text_up_to", most=most)
        case inspect.StrType():
            return saying("fits.text")
        case inspect.CustomType(cls=cls) if issubclass(cls, PeerName):
            return saying("fits.id")
        case inspect.CustomType():
            return saying("fits.filled_text")
        case inspect.VarTupleType(item_type=item, min_length=least):
            if least:
                return saying("fits.filled_list", item=_fitting(item))
            return saying("fits.list", item=_fitting(item))
        case inspect.TupleType(item_types=(one, other)):
            return saying("fits.pair", first=_fitting(one), last=_fitting(other))
        case inspect.DictType(value_type=item):
            return saying("fits.lines", item=_fitting(item))
        case _:
            return saying("fits.other")


def _range(number: inspect.IntType | inspect.FloatType) -> Saying | str:
    """Its bounds, where it has both."""
    if number.gt is not None and number.le is not None:
        return saying("fits.above_up_to", above=number.gt, most=number.le)
    if number.ge is not None and number.le is not None:
        return saying("fits.from_up_to", least=number.ge, most=number.le)
    return ""


def _unknown(name: str, known: list[str]) -> Saying:
    if "password" in name.lower():
        return saying("config.password_here")
    if name == "secrets":
        return saying("config.secrets_elsewhere")
    if close := difflib.get_close_matches(name, known, n=1):
        return saying("config.nearly_known", close=close[0])
    return saying("config.unknown", known=", ".join(known))


def _join(key: str, name: str) -> str:
    shown = name if name and all(sign.isalnum() or sign in "-_" for sign in name) else json.dumps(name)
    return f"{key}.{shown}" if key else shown
