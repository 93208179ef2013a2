"""The audit chain: how one record is written as a line, and how a file of them is checked.

A line is canonical JSON: keys sorted, no spaces, printable ASCII only, so that nothing a peer wrote
can start a line or move a terminal's cursor. Only `hash` stands out of order, as the last key: it is
SHA-256 over the previous record's hash (64 hex digits as ASCII) followed by the line without it. A
marker record closes what a crash or a full disk tore: it names the SHA-256 of what is left of it and
continues from the record before.

The chain finds what was edited, removed or moved between records that are there. That the newest
records were cut off is found by what knows of them: the head file beside it, and an anchor kept elsewhere
(`head`). A gateway that finds them missing when it starts says so in a record of its own.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from gateway.chamber import head
from gateway.chamber.head import Anchor
from gateway.words import Saying, Told, saying

ALGORITHM: Final = "sha256"
GENESIS: Final = "0" * 64
MAX_LINE_BYTES: Final = 256 * 1024
MARKER: Final = "audit.torn-line-closed"
TORN: Final = "torn_sha256"
"""The key that makes a record a marker; no other record has it."""
CUT: Final = "audit.records-missing"
KNOWN: Final = "known"
"""The key of a record that says what was known at a start and not there any more: an anchor."""


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
    """What checking one file found; `problem` is None when the chain is whole."""

    records: int
    torn: int  # lines that a crash tore and a marker closed
    last_hash: str
    problem: Saying | None = None
    head: Anchor | None = None  # what the head file beside it knows

    @property
    def anchor(self) -> Anchor | None:
        """The last record that is whole, to be noted elsewhere; None where there is none."""
        return Anchor(self.records, self.last_hash) if self.records else None

    @property
    def whole(self) -> bool:
        return self.problem is None


def verify(path: Path, anchor: Anchor | None = None) -> Report:
    """Check the whole file from its first record on, and stop at the first one that is wrong.

    It must hold what its head file knows, and `anchor`, which somebody kept elsewhere. Reads line by
    line and needs the memory of one line, however long the file.

    Raises:
        OSError: the file cannot be read.
    """
    noted = head.known(path)  # read first: a gateway that writes meanwhile makes both longer
    with path.open("rb") as file:
        return _check(lines(file), noted, anchor)


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Each line with its newline; of an endless one a part at a time."""
    while line := file.readline(4 * MAX_LINE_BYTES):  # torn remains may be longer than a record
        yield line


class _Broken(Told):
    """The chain is broken here."""


class _Noted:
    """What is known of this chain from outside it."""

    def __init__(self, head: Anchor | None, anchor: Anchor | None) -> None:
        given = ((head, saying("chain.by_head")), (anchor, saying("chain.by_anchor")))
        self._noted = [(known, source) for known, source in given if known is not None]

    def compare(self, number: int, hashed: str) -> None:
        for known, source in self._noted:
            if known.number == number and known.hash != hashed:
                raise _Broken(saying("chain.exchanged", record=number, source=source))

    def close(self, records: int) -> None:
        """The file ends after so many."""
        for known, source in self._noted:
            if known.number == records + 1:
                raise _Broken(saying("chain.one_cut", absent=known.number, source=source))
            if known.number > records:
                raise _Broken(saying("chain.cut", first=records + 1, last=known.number, source=source))


def _check(lines: Iterator[bytes], head: Anchor | None, anchor: Anchor | None) -> Report:
    records, torn, last = 0, 0, GENESIS
    noted = _Noted(head, anchor)
    remains: list[bytes] = []
    try:
        for number, line in enumerate(lines, start=1):
            whole, ended, _ = line.partition(b"\n")
            record = unseal(whole)
            if not ended:
                raise _Broken(saying("chain.endless", line=number))
            if record is None:
                remains.append(whole)
                continue
            if remains and not _closes(record, b"\n".join(remains)):
                raise _Broken(saying("chain.unreadable", line=number - len(remains)))
            if not remains and TORN in record:
                raise _Broken(saying("chain.torn_removed", line=number))
            torn += bool(remains)
            remains.clear()
            hashed = _follow(record, whole, number=number, after=records, previous=last)
            if KNOWN in record:
                known = Anchor.read(str(record[KNOWN]))
                missed = known.number if known else records
                raise _Broken(saying("chain.cut_before", record=records + 1, line=number, last=missed))
            noted.compare(records + 1, hashed)
            last = hashed
            records += 1
        if remains:
            raise _Broken(saying("chain.unreadable_end"))
        noted.close(records)
    except _Broken as broken:
        return Report(records, torn, last, broken.said, head)
    return Report(records, torn, last, head=head)


def _closes(record: dict[str, Any], remains: bytes) -> bool:
    return record.get(TORN) == sha256(remains).hexdigest()


def _follow(record: dict[str, Any], line: bytes, *, number: int, after: int, previous: str) -> str:
    """The hash of `record`, which must be the next one after `after` records."""
    sequence, claimed, hashed = record["sequence"], record["previous"], record.pop("hash")
    body = canonical(record)
    if _line(body, hashed) != line:
        raise _Broken(saying("chain.rewritten", record=sequence, line=number))
    if record.get("hash_algorithm") != ALGORITHM:
        raise _Broken(saying("chain.other_hash", record=sequence, line=number, algorithm=ALGORITHM))
    if _digest(claimed, body) != hashed:
        raise _Broken(saying("chain.edited", record=sequence, line=number))
    if sequence == after + 2:
        raise _Broken(saying("chain.one_missing", absent=after + 1, record=sequence, line=number))
    if sequence > after + 2:
        first, last = after + 1, sequence - 1
        raise _Broken(saying("chain.missing", first=first, last=last, record=sequence, line=number))
    if sequence < after + 1:
        raise _Broken(saying("chain.moved", record=sequence, line=number, after=after))
    if claimed != previous:
        raise _Broken(saying("chain.replaced", record=sequence, line=number, after=after))
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
