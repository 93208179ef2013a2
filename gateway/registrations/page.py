"""What is shown of a registration: a heading, the inputs side by side, why, and the tries before."""

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any, Final

import msgspec
from rich.cells import cell_len, set_cell_size

from gateway.registrations.facts import OfId, OfSide, Tried
from gateway.registrations.reasons import Compared, compared, name_of, reasons, registered
from gateway.words import Words, printable, saying
from sip.uri import host_port

WIDEST: Final = 44
"""Cells of one value; a longer one is cut."""

INPUTS: Final = {
    "source": saying("input.source"),
    "transport": saying("input.transport"),
    "certificate": saying("input.certificate"),
    "scheme": saying("input.scheme"),
    "username": saying("input.username"),
    "realm": saying("input.realm"),
    "uri": saying("input.uri"),
    "algorithm": saying("input.algorithm"),
    "expires": saying("input.expires"),
    "binding": saying("input.binding"),
}

OUTCOMES: Final = {
    "registered": saying("came.registered"),
    "removed": saying("came.removed"),
    "challenged": saying("came.challenged"),
    "wrong": saying("came.wrong"),
    "stale": saying("came.stale"),
    "not-as-agreed": saying("came.not_as_agreed"),
    "bound-elsewhere": saying("came.bound_elsewhere"),
    "too-short": saying("came.too_short"),
    "put-off": saying("came.put_off"),
    "redirected": saying("came.redirected"),
    "other": saying("came.other"),
}


def page(side: OfSide, one: OfId, now: float, words: Words, zone: tzinfo | None = None) -> Iterator[str]:
    """Lines about one id on one side."""
    yield _title(side, one, words)
    rows = compared(side, one)
    if one.tries:
        last = one.tries[-1].attempt
        source, moment = host_port(*last.source), _clock(last.at, zone)
        agent = words.say("explain.agent", agent=last.agent) if last.agent else ""
        yield words.say(
            "explain.last", time=moment, source=source, transport=last.transport.upper(), agent=agent
        )
    if rows:
        yield ""
        yield from _table(rows, words)
    yield ""
    for reason in reasons(side, one, now):
        yield words.render(reason)
    if len(one.tries) > 1:
        yield ""
        yield words.say("explain.before")
        for tried in reversed(one.tries):
            yield _line(tried, words, zone)


def _title(side: OfSide, one: OfId, words: Words) -> str:
    if registered(one):
        return words.say("explain.title", id=one.id, side=name_of(side))
    return words.say("explain.title_not", id=one.id, side=name_of(side))


def _table(rows: list[Compared], words: Words) -> Iterator[str]:
    heads = ("", words.say("explain.received"), words.say("explain.expected"), "")
    marks = {True: "", None: "", False: words.say("explain.differs")}
    cells = [
        (_label(row.input, words), _cut(row.received), _cut(row.expected) or "-", marks[row.fits])
        for row in rows
    ]
    sizes = [max(cell_len(line[column]) for line in (heads, *cells)) for column in range(3)]
    for line in (heads, *cells):
        parts = [set_cell_size(text, size) for text, size in zip(line[:3], sizes, strict=True)]
        yield "  ".join(("", *parts, line[3])).rstrip()


def _label(name: str, words: Words) -> str:
    """Names that stand on the wire stay what they are."""
    known = INPUTS.get(name)
    return name if known is None else words.render(known)


def _line(tried: Tried, words: Words, zone: tzinfo | None) -> str:
    attempt = tried.attempt
    outcome = words.render(OUTCOMES[attempt.outcome])
    times = f" x{attempt.times}" if attempt.times > 1 else ""
    source = host_port(*attempt.source)
    return f"  {_clock(attempt.at, zone)}  {source}  {attempt.transport.upper()}  {outcome}{times}"


def _cut(text: str) -> str:
    shown = printable(text)
    return shown if cell_len(shown) <= WIDEST else set_cell_size(shown, WIDEST - 2).rstrip() + ".."


def _clock(at: float, zone: tzinfo | None) -> str:
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S")


def document(side: OfSide, one: OfId, now: float, words: Words) -> dict[str, Any]:
    """The same for programs: keys stay what they are, texts are in the language of the words."""
    return {
        "side": side.side,
        "id": one.id,
        "configured": one.wanted is not None,
        "registered": registered(one),
        "reasons": [
            {"code": reason.key.removeprefix("explain."), "text": words.render(reason)}
            for reason in reasons(side, one, now)
        ],
        "compared": [msgspec.to_builtins(row) for row in compared(side, one)],
        "tries": [msgspec.to_builtins(tried) for tried in one.tries],
        "near": list(one.near),
    }
