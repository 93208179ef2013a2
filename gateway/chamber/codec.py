"""Crossings as bytes and back (MessagePack), for a link that leaves the process.

The union that can be decoded is closed: the envelopes of `cascade.crossing` and every command under
`cascade.model.commands`, found by walking that package, so a command added tomorrow needs no edit
here. Names are checked on the way in by their own types.
"""

import importlib
import math
import pkgutil
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, Union

import msgspec

from cascade.crossing import (
    Answer,
    Ask,
    CatalogBatch,
    Crossing,
    NoAnswer,
    Notice,
    StreamControl,
    StreamEnded,
    StreamOffered,
    StreamOpen,
)
from cascade.model import commands
from cascade.model.commands import Command
from cascade.model.ids import PlatformId
from cascade.model.index import Rows
from cascade.model.secret import Secret

MAX_CROSSING_BYTES: Final = 1024 * 1024 - 64
"""A frame of a link is at most 1 MiB, and has a header."""
MAX_ROWS: Final = 1000
MAX_USERS: Final = 16
MAX_ENCODINGS: Final = 8
MAX_SECONDS: Final = 3600.0
MAX_PLATFORMS: Final = 4096
"""Ids of peers that are remembered, since every crossing names one or two of a few."""


class CodecError(Exception):
    """The bytes are no crossing that we know, or the crossing passes a limit of the lock."""


def payloads() -> tuple[type[Command], ...]:
    """Every command there is, by name."""
    for module in pkgutil.iter_modules(commands.__path__, f"{commands.__name__}."):
        importlib.import_module(module.name)
    return tuple(sorted(_below(Command), key=lambda kind: kind.__name__))


def encode(crossing: Crossing) -> bytes:
    """Raises CodecError where `decode` would refuse the result."""
    _check(crossing)
    try:
        data = _encoder.encode(crossing)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CodecError(f"cannot be written: {error}") from error
    if len(data) > MAX_CROSSING_BYTES:
        raise CodecError(f"{len(data)} bytes: cut it into smaller crossings")
    return data


def decode(data: bytes) -> Crossing:
    """Read one crossing. No other exception than CodecError leaves, whatever the bytes."""
    if len(data) > MAX_CROSSING_BYTES:
        raise CodecError(f"{len(data)} bytes")
    try:
        crossing: Crossing = _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise CodecError(f"not a crossing: {error}") from error
    _check(crossing)
    return crossing


def _check(crossing: Crossing) -> None:
    """The limits that types do not say."""
    if not (math.isfinite(crossing.seconds_left) and 0 <= crossing.seconds_left <= MAX_SECONDS):
        raise CodecError(f"seconds_left is {crossing.seconds_left}")
    if len(crossing.users) > MAX_USERS:
        raise CodecError(f"{len(crossing.users)} users")
    if type(crossing) is StreamOpen and len(crossing.encodings) > MAX_ENCODINGS:
        raise CodecError(f"{len(crossing.encodings)} encodings")
    if type(crossing) is CatalogBatch and len(crossing.rows) > MAX_ROWS:
        raise CodecError(f"{len(crossing.rows)} rows: at most {MAX_ROWS} cross at once")


def _below(kind: type[Command]) -> Iterator[type[Command]]:
    for sub in kind.__subclasses__():
        if sub.__module__.startswith(f"{commands.__name__}."):
            yield sub
        yield from _below(sub)


def _written(value: object) -> object:
    if isinstance(value, str):  # first, since most are: msgspec writes no subclass of str
        return str(value)
    match value:
        case Rows():
            return value.encode()
        case Secret():
            return value.reveal()
        case _:
            raise TypeError(f"{type(value).__name__} cannot cross")


def _read(kind: type[Any], value: object) -> object:
    if type(value) is str:
        return _platform(value) if kind is PlatformId else kind(value)
    if kind is Rows:
        if not isinstance(value, bytes):
            raise ValueError("rows are not bytes")
        return Rows.decode(value)
    raise ValueError(f"{kind.__name__} is not text")


_platform: Final = lru_cache(MAX_PLATFORMS)(PlatformId)


_payload: Any = Union[payloads()]  # noqa: UP007 - built from a tuple
UNION: Final[Any] = (
    Ask[_payload]
    | Answer[_payload]
    | Notice[_payload]
    | NoAnswer
    | CatalogBatch
    | StreamOpen
    | StreamOffered
    | StreamControl
    | StreamEnded
)
_encoder: Final = msgspec.msgpack.Encoder(enc_hook=_written)
_decoder: Final = msgspec.msgpack.Decoder(UNION, dec_hook=_read)
