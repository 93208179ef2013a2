"""The audit chain: how one record is written as a line, and how a file of them is checked.

A line is canonical JSON: keys sorted, no spaces, printable ASCII only, so that nothing a peer wrote
can start a line or move a terminal's cursor. Only `hash` stands out of order, as the last key: it is
SHA-256 over the previous record's hash (64 hex digits as ASCII) followed by the line without it. A
marker record closes what a crash or a full disk tore: it names the SHA-256 of what is left of it and
continues from the record before.

The chain finds what was edited, removed or moved between records that are there. It cannot find
that the newest records were cut off: compare the last hash with one kept elsewhere.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

ALGORITHM: Final = "sha256"
GENESIS: Final = "0" * 64
MAX_LINE_BYTES: Final = 256 * 1024
MARKER: Final = "audit.torn-line-closed"
TORN: Final = "torn_sha256"
"""The key that makes a record a marker; no other record has it."""


def canonical(record: Mapping[str, Any]) -> bytes:
    """Equal records give equal bytes, and reading them back gives an equal record."""
    try:
        data = _encoder.encode(record)
    except UnicodeEncodeError:  # half a surrogate pair; nothing that a peer wrote may stop the audit
        data = _encoder.encode(json.loads(json.dumps(record, ensure_ascii=False).encode(errors="replace")))
    if data.isascii() and b"\x7f" not in data:
        return data
    return _NOT_PRINTABLE.sub(_escaped, data.decode()).encode("ascii")


def digest(previous: str, record: Mapping[str, Any]) -> str:
    """The hash of `record`, which must not hold one yet."""
    return _digest(previous, canonical(record))


def seal(record: Mapping[str, Any], *, sequence: int, previous: str) -> tuple[bytes, str]:
    """The line of `record` with its newline, and its hash."""
    body = canonical({**record, "sequence": sequence, "previous": previous, "hash_algorithm": ALGORITHM})
    hashed = _digest(previous, body)
    return _line(body, hashed) + b"\n", hashed


def unseal(line: bytes) -> dict[str, Any] | None:
    """The record on `line` (without its newline), or None where it is not a whole record.

    Whole does not mean true: `check` compares the hash.
    """
    try:
        record = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    sequence, previous, hashed = record.get("sequence"), record.get("previous"), record.get("hash")
    if type(sequence) is int and isinstance(hashed, str) and isinstance(previous, str) and previous.isascii():
        return record
    return None


@dataclass(frozen=True, slots=True)
class Report:
    """What checking one file found; `problem` is a sentence, or "" when the chain is whole."""

    records: int
    torn: int  # lines that a crash tore and a marker closed
    last_hash: str
    problem: str = ""

    @property
    def whole(self) -> bool:
        return not self.problem


def verify(path: Path) -> Report:
    """Check the whole file from its first record on, and stop at the first one that is wrong.

    Reads line by line and needs the memory of one line, however long the file.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return _check(_lines(file))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(4 * MAX_LINE_BYTES):  # torn remains may be longer than a record
        yield line


class _Broken(Exception):
    """The chain is broken here; the text is the sentence."""


def _check(lines: Iterator[bytes]) -> Report:
    records, torn, last = 0, 0, GENESIS
    remains: list[bytes] = []
    try:
        for number, line in enumerate(lines, start=1):
            whole, ended, _ = line.partition(b"\n")
            record = unseal(whole)
            if not ended:
                raise _Broken(
                    f"Line {number} does not end: it was cut, or the gateway stopped while writing it. "
                    "The gateway closes it with a marker when it next starts."
                )
            if record is None:
                remains.append(whole)
                continue
            if remains and not _closes(record, b"\n".join(remains)):
                raise _Broken(f"Line {number - len(remains)} is not a readable record: it was edited.")
            if not remains and TORN in record:
                raise _Broken(f"Line {number} closes a torn line that is no longer there: it was removed.")
            torn += bool(remains)
            remains.clear()
            last = _follow(record, whole, number=number, after=records, previous=last)
            records += 1
        if remains:
            raise _Broken("The end of the file is not a readable record: it was edited or torn.")
    except _Broken as broken:
        return Report(records, torn, last, str(broken))
    return Report(records, torn, last)


def _closes(record: dict[str, Any], remains: bytes) -> bool:
    return record.get(TORN) == sha256(remains).hexdigest()


def _follow(record: dict[str, Any], line: bytes, *, number: int, after: int, previous: str) -> str:
    """The hash of `record`, which must be the next one after `after` records."""
    sequence, claimed, hashed = record["sequence"], record["previous"], record.pop("hash")
    body = canonical(record)
    if _line(body, hashed) != line:
        raise _Broken(f"Record {sequence} (line {number}) was edited: it is not written as it was.")
    if record.get("hash_algorithm") != ALGORITHM:
        raise _Broken(f"Record {sequence} (line {number}) was edited: its hash algorithm is not {ALGORITHM}.")
    if _digest(claimed, body) != hashed:
        raise _Broken(f"Record {sequence} (line {number}) was edited: its hash does not fit its content.")
    if sequence > after + 1:
        absent = (
            f"Record {after + 1} is"
            if sequence == after + 2
            else f"Records {after + 1} to {sequence - 1} are"
        )
        raise _Broken(f"{absent} missing or moved: line {number} holds record {sequence}.")
    if sequence < after + 1:
        raise _Broken(
            f"Record {sequence} stands on line {number}, after record {after}: it was moved or repeated."
        )
    if claimed != previous:
        raise _Broken(
            f"Record {sequence} (line {number}) does not continue record {after}: one was replaced."
        )
    return str(hashed)


def _digest(previous: str, body: bytes) -> str:
    return sha256(previous.encode("ascii") + body).hexdigest()


def _line(body: bytes, hashed: str) -> bytes:
    return b'%b,"hash":"%b"}' % (body[:-1], hashed.encode("ascii", errors="replace"))


def _exact(value: object) -> str:
    if isinstance(value, str):
        return str(value)  # msgspec writes no subclass of str
    raise TypeError(f"{type(value).__name__} cannot stand in a record")


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found.group())[1:-1]


_encoder: Final = msgspec.json.Encoder(order="sorted", enc_hook=_exact)
_NOT_PRINTABLE: Final = re.compile("[^\0-~]+")
