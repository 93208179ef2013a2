"""`tickets.json` in the state folder: the approval tickets, as the gateway and the command line see them.

It is replaced as a whole by whoever holds its lock, so a reader finds an old one or a new one, never a half.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from gateway.chamber.tickets import MAX_TICKETS, Ticket, next_number
from gateway.words import Told, saying
from gateway.words.system import reason

NAME: Final = "tickets.json"
MAX_BYTES: Final = 16 * 1024 * 1024


class TicketsUnusable(Told):
    """The file cannot be read or written."""


class Kept(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. `last`: the highest number that was given, so that none is given twice."""

    last: Annotated[int, Meta(ge=0)] = 0
    tickets: Annotated[tuple[Ticket, ...], Meta(max_length=MAX_TICKETS)] = ()


_read: Final = msgspec.json.Decoder(Kept).decode


def granted(folder: Path) -> tuple[Ticket, ...]:
    """Those that were granted and not withdrawn, over or not. Raises TicketsUnusable."""
    return _kept(folder / NAME).tickets


def grant(folder: Path, wall: float, make: Callable[[int], Ticket]) -> Ticket:
    """Add the ticket that is made of its number; those that are over go. Raises TicketsUnusable."""
    with _held(folder):
        kept = _kept(folder / NAME)
        counting = tuple(ticket for ticket in kept.tickets if ticket.counts(wall))
        ticket = make(next_number(counting, kept.last))
        _replace(folder / NAME, Kept(last=ticket.number, tickets=(*counting, ticket)))
    return ticket


def withdraw(folder: Path, number: int) -> Ticket | None:
    """Take one away before its time; None where there is none of this number. Raises TicketsUnusable."""
    with _held(folder):
        kept = _kept(folder / NAME)
        found = next((ticket for ticket in kept.tickets if ticket.number == number), None)
        if found is not None:
            rest = tuple(ticket for ticket in kept.tickets if ticket is not found)
            _replace(folder / NAME, Kept(last=kept.last, tickets=rest))
    return found


def _kept(path: Path) -> Kept:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Kept()
    except OSError as error:
        raise TicketsUnusable(saying("tickets.unusable", file=str(path), reason=reason(error))) from error
    try:
        return _read(data)
    except msgspec.MsgspecError as error:
        raise TicketsUnusable(saying("tickets.damaged", file=str(path))) from error


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Nobody else writes meanwhile."""
    path = folder / f"{NAME}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise TicketsUnusable(saying("tickets.unusable", file=str(path), reason=reason(error))) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, kept: Kept) -> None:
    fresh = path.with_suffix(".new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(kept)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise TicketsUnusable(saying("tickets.unusable", file=str(path), reason=reason(error))) from error
