"""A story as a ladder: the outer side on the left, the lock in the middle, the inner side on the right.

Pure: rows of a story, and rows as lines of a given width. A narrow terminal gets a list instead of
columns. Widths are of cells, since a Chinese character takes two.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final, Literal, assert_never

from rich.cells import cell_len, set_cell_size

from gateway.trace.diagnosis import why_of
from gateway.trace.facts import (
    Aimed,
    Awaited,
    Began,
    Broken,
    Counted,
    Crossed,
    MediaFact,
    PortOpened,
    Sent,
    SideName,
    Silent,
)
from gateway.trace.reading import Read
from gateway.trace.story import Story, lost_on_leg
from gateway.words import Saying, Words, printable
from sip.uri import host_port

NARROW: Final = 76
"""Columns below which there is a list."""
TIME: Final = 12
MOST_ROWS: Final = 60
COUNTS: Final = 7
"""Rank of rows that tell how much came so far."""

Way = Literal["", "left", "right"]
"""Where something goes, on a page with the outer side on the left."""


@dataclass(frozen=True, slots=True)
class Row:
    """`place` None is the lock. `way` is the arrow's."""

    at: float
    place: SideName | None
    way: Way
    text: str
    rank: int = 0
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Signs:
    """What the drawing is made of."""

    rail: str
    line: str
    left: str
    right: str
    cross_line: str
    cross_left: str
    cross_right: str
    stop: str
    dot: str


BOX: Final = Signs("│", "─", "◀", "▶", "═", "◀", "▶", "✖", "·")
ASCII: Final = Signs("|", "-", "<", ">", "=", "<", ">", "X", "*")


def signs_for(encoding: str) -> Signs:
    """Boxes where the terminal can show them."""
    try:
        "".join((BOX.rail, BOX.line, BOX.left, BOX.right, BOX.cross_line, BOX.stop)).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BOX


def rows(story: Story, words: Words) -> list[Row]:
    """What the ladder shows, repetitions drawn together, in the order in which things happened."""
    reads = sorted((*story.above, *story.below), key=lambda one: one.fact.number)
    found = [
        *_messages(reads, words),
        *_crossings(story.crossings, words),
        *_holds(story, words),
        *(row for fact in _last_of_each(story.media) for row in _of_media(fact, story, words)),
    ]
    return sorted(found, key=lambda row: (round(row.at, 6), row.rank))


def _messages(reads: Sequence[Read], words: Words) -> Iterator[Row]:
    copies: dict[object, list[Read]] = {}
    for one in reads:
        copies.setdefault(one.same, []).append(one)
    for same in copies.values():
        first = same[0]
        text = _text(first)
        if len(same) > 1:
            last = f"{same[-1].fact.at - first.fact.at:.1f}"
            text += " " + words.say("trace.again", times=len(same) - 1, seconds=last)
        way = _way(first.fact.side, outwards=first.fact.sent)
        yield Row(first.fact.at, first.fact.side, way, text, 5 if first.fact.sent else 0)


def _text(one: Read) -> str:
    if one.status:
        text = f"{one.status} {one.reason} ({one.method})"
        text += f" {one.why}" if one.status >= 300 and one.why else ""
    elif one.method:
        text = f"{one.method} {one.command or one.uri_user}".rstrip()
        text += f" {one.root}" if one.root in {"Notify", "Response"} else ""
        text += f" ({one.why})" if one.why and one.method == "BYE" else ""
    else:
        text = one.reason
    if one.media_port is not None:
        text += f" m={one.media_port}"
    if one.ssrc is not None:
        text += f" y={one.ssrc:010d}"
    return text


def _crossings(crossings: Sequence[Crossed], words: Words) -> Iterator[Row]:
    """One row for both doors of a crossing; of what was refused, the door that did it."""
    seen: dict[object, list[Crossed]] = {}
    for fact in crossings:
        key = fact.kind, fact.direction, fact.passed, fact.rule if not fact.passed else ""
        seen.setdefault(key, []).append(fact)
    for facts in seen.values():
        first = min(facts, key=lambda fact: (fact.at, fact.door != "send"))
        way: Way = "right" if first.direction == "inward" else "left"
        text = f"{first.kind} {words.say('trace.rule', rule=first.rule)}"
        why = why_of(first)
        if why:
            text += f" ({words.render(why) if isinstance(why, Saying) else why})"
        yield Row(first.at, None, way, text, 2, refused=not first.passed)


def _holds(story: Story, words: Words) -> Iterator[Row]:
    """Whose the camera is, at the door before which it ended; and where the link was lost."""
    if story.parted is not None:
        yield Row(story.parted.at, None, "", words.say("trace.parted"), 2, refused=True)
    held = story.held
    if held is not None:
        text = words.say("trace.held_by", peer=held.details.get("other", "-"))
        way: Way = "right" if held.side == "outer" else "left"
        yield Row(held.at, None, way, text, 2, refused=True)


def _last_of_each(media: Iterable[MediaFact]) -> list[MediaFact]:
    """Of counts the newest alone: they are told at the moment of the last packet."""
    kept: dict[object, MediaFact] = {}
    for fact in media:
        counts = isinstance(fact, Counted | Sent)
        viewer = getattr(fact, "viewer", "")
        key: object = (type(fact), fact.leg, fact.stream, viewer) if counts else (fact.side, fact.number)
        before = kept.get(key)
        if not (isinstance(before, Counted | Sent) and before.over):
            kept[key] = fact
    return list(kept.values())


def _of_leg(fact: MediaFact, story: Story, words: Words) -> Iterator[Row]:
    """Between the hosts: in the column of the lock, away from who sends and towards who takes."""
    say = words.say
    onward = _way(fact.side, outwards=not isinstance(fact, Sent))
    match fact:
        case Began():
            yield Row(fact.at, None, onward, say("trace.leg_first"), 6)
        case Silent():
            text = say("trace.no_media") if fact.kind == "no-media" else say("trace.media_lost")
            yield Row(fact.at, None, onward, text, 6, refused=True)
        case Counted():
            if fact.refused:
                kinds = ", ".join(f"{kind} {count}" for kind, count in fact.refused.items())
                yield Row(fact.at, None, onward, say("trace.rtp_refused", kinds=kinds), 7, refused=True)
            if fact.last is not None:
                text = say("trace.leg_last", packets=fact.admitted, lost=lost_on_leg(story.media) or 0)
                yield Row(fact.last, None, onward, text, 8)
        case Sent():
            if fact.packets:
                yield Row(
                    _last_moment(story, fact), None, onward, say("trace.leg_left", packets=fact.packets), 7
                )


def _of_media(fact: MediaFact, story: Story, words: Words) -> Iterator[Row]:
    if fact.leg:
        yield from _of_leg(fact, story, words)
        return
    say = words.say
    into = _way(fact.side, outwards=False)
    match fact:
        case PortOpened() | Awaited():
            pass
        case Aimed():
            text = say("trace.rtp_to", place=host_port(fact.host, fact.port), ssrc=f"{fact.ssrc:010d}")
            yield Row(fact.at, fact.side, _way(fact.side, outwards=True), text, 6)
        case Began():
            place = host_port(fact.host, fact.port)
            text = say("trace.first_rtp", place=place, ssrc=f"{fact.ssrc:010d}")
            yield Row(fact.at, fact.side, into, text, 6)
        case Silent():
            text = say("trace.no_media") if fact.kind == "no-media" else say("trace.media_lost")
            yield Row(fact.at, fact.side, "", text, 6)
        case Broken():
            yield Row(fact.at, fact.side, "", say("trace.socket_failed", why=fact.reason), 6)
        case Counted():
            if fact.refused:
                kinds = ", ".join(f"{kind} {count}" for kind, count in fact.refused.items())
                yield Row(fact.at, fact.side, into, say("trace.rtp_refused", kinds=kinds), 7, refused=True)
            if fact.last is not None:
                text = say("trace.last_rtp", packets=fact.admitted, lost=fact.lost)
                yield Row(fact.last, fact.side, into, text, 7)
        case Sent():
            if fact.packets or fact.unsent:
                text = say("trace.rtp_left", packets=fact.packets, unsent=fact.unsent)
                side = _viewer_side(story, fact)
                yield Row(_last_moment(story, fact), side, _way(side, outwards=True), text, 8)
        case _:
            assert_never(fact)


def _viewer_side(story: Story, sent: Sent) -> SideName:
    """The side of a viewer, whoever counted for it."""
    ports = (fact for fact in story.media if isinstance(fact, PortOpened) and fact.viewer == sent.viewer)
    return next((fact.side for fact in ports), sent.side)


def _last_moment(story: Story, sent: Sent) -> float:
    """When the last packet came, and so left, unless the viewer was gone by then."""
    lasts = [fact.last for fact in story.media if isinstance(fact, Counted) and fact.last is not None]
    return min(sent.at, max(lasts, default=sent.at))


def _way(side: SideName, *, outwards: bool) -> Way:
    """On a page with the outer side left, what we send on it goes left."""
    return "left" if (side == "outer") == outwards else "right"


def draw(
    shown: Sequence[Row],
    width: int,
    words: Words,
    signs: Signs = BOX,
    zone: tzinfo | None = None,
    *,
    heads: bool = True,
) -> list[str]:
    """Lines of at most `width` cells. `zone` None is that of this machine."""
    left_out = max(0, len(shown) - MOST_ROWS)
    lines = [words.say("trace.left_out", count=left_out)] if left_out else []
    shown = shown[left_out:]
    if width < NARROW:
        return [*lines, *(_listed(row, width, words, signs, zone) for row in shown)]
    middle = (width - TIME) // 4
    outer = (width - TIME - middle - 2) // 2
    inner = width - TIME - middle - 2 - outer
    cells = (outer, middle, inner)
    if heads:
        names = (words.say("side.outer"), words.say("trace.lock"), words.say("side.inner"))
        titles = (_centre(name, size) for name, size in zip(names, cells, strict=True))
        lines.append(" " * TIME + signs.rail.join(titles))
    for row in shown:
        parts = [" " * size for size in cells]
        at = 1 if row.place is None else 0 if row.place == "outer" else 2
        parts[at] = _arrow(row, cells[at], signs)
        lines.append(_clock(row.at, zone) + signs.rail.join(parts))
    return lines


def _arrow(row: Row, size: int, signs: Signs) -> str:
    """A text on its line, the head where it goes; what was refused has no head."""
    crosses = row.place is None
    line = signs.cross_line if crosses else signs.line
    text = printable(row.text)
    if not row.way:
        return set_cell_size(f" {signs.dot} {text}", size)
    room = size - 5
    text = _cut(text, room)
    rest = line * max(1, size - cell_len(text) - 4)
    head = signs.stop
    if row.way == "right":
        head = head if row.refused else (signs.cross_right if crosses else signs.right)
        return set_cell_size(f" {text} {rest}{head} ", size)
    head = head if row.refused else (signs.cross_left if crosses else signs.left)
    return set_cell_size(f" {head}{rest} {text} ", size)


def _listed(row: Row, width: int, words: Words, signs: Signs, zone: tzinfo | None) -> str:
    place = {"outer": words.say("side.outer"), "inner": words.say("side.inner")}
    where = words.say("trace.lock") if row.place is None else place[row.place]
    head = {"left": signs.left, "right": signs.right, "": signs.dot}[row.way]
    head = signs.stop if row.refused else head
    text = f"{_clock(row.at, zone)} {set_cell_size(where, 5)} {head} {printable(row.text)}"
    return _cut(text, width)


def _clock(at: float, zone: tzinfo | None) -> str:
    return datetime.fromtimestamp(at, zone).strftime("%H:%M:%S.%f")[:TIME]


def _centre(text: str, size: int) -> str:
    before = max(0, (size - cell_len(text)) // 2)
    return set_cell_size(" " * before + text, size)


def _cut(text: str, room: int) -> str:
    """At most so many cells; what is cut ends in dots."""
    if cell_len(text) <= room:
        return text
    return set_cell_size(text, max(0, room - 2)).rstrip() + ".."
