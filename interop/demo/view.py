"""The demo's live terminal view: both networks, the lock between them, what plays, what was refused.

It is drawn as `lockgate status --watch` is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from rich.console import Console

from gateway.screen import Bar, Listing, LiveScreen, Page, Place, Refusals
from interop.words import Saying, Words, saying

Rows: TypeAlias = list[tuple[Saying, Saying | str]]
"""Labels and what stands beside them."""


@dataclass(frozen=True, slots=True)
class Playing:
    """One stream as it stands; `delay_ms` is the median of what was read so far."""

    camera: int
    name: str
    frames: int
    bits_per_second: float
    setup_ms: float | None
    delay_ms: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything the view shows, at one moment, in no language yet."""

    phase: Saying
    elapsed: float
    seconds: float
    outer: Rows = field(default_factory=list)
    lock: Rows = field(default_factory=list)
    inner: Rows = field(default_factory=list)
    received: int = 0
    expected: int = 0
    playing: list[Playing] = field(default_factory=list)
    voice: Saying | None = None
    alarms: Saying | None = None
    refused: list[Saying] = field(default_factory=list)


class View(Protocol):
    def show(self, picture: Picture) -> None: ...


class PlainView:
    """For pipes and logs: a line when the phase changes, and one a few seconds."""

    def __init__(self, write: Callable[[str], None], words: Words) -> None:
        self._write = write
        self._words = words
        self._phase: Saying | None = None
        self._next = 0.0

    def show(self, picture: Picture) -> None:
        if picture.phase == self._phase and picture.elapsed < self._next:
            return
        self._phase, self._next = picture.phase, picture.elapsed + 5.0
        say = self._words.say
        shown = say("plain.line", elapsed=f"{picture.elapsed:5.1f}", phase=picture.phase)
        for row in picture.playing:
            shown += say("plain.camera", camera=row.camera, frames=row.frames)
        self._write(shown)


class LiveView:
    """For terminals. Use `with`."""

    def __init__(self, console: Console, words: Words) -> None:
        self._words = words
        self._live = LiveScreen(console)

    def __enter__(self) -> "LiveView":
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__()

    def show(self, picture: Picture) -> None:
        self._live.show(page(picture, self._words))


def page(picture: Picture, words: Words) -> Page:
    """The picture as the product's page, in one language."""
    say = words.say
    left = max(0.0, picture.seconds - picture.elapsed)
    refused = [words.render(line) for line in picture.refused]
    return Page(
        title=say("view.title", phase=picture.phase, left=f"{left:.0f}"),
        places=[
            _place(saying("view.outer"), picture.outer, "yellow", words),
            _place(saying("view.lock"), picture.lock, "magenta", words),
            _place(saying("view.inner"), picture.inner, "cyan", words),
        ],
        bar=Bar(say("view.catalog"), picture.received, picture.expected),
        listing=Listing(
            headings=[
                say("view.playing"),
                say("view.frames"),
                say("view.rate"),
                say("view.setup"),
                say("view.delay"),
            ],
            rows=[_stream(row) for row in picture.playing],
            more=lambda count: say("view.more", count=count),
        ),
        notes=[words.render(note) for note in (picture.voice, picture.alarms) if note is not None],
        refusals=Refusals(
            say("view.refused"),
            refused,
            say("view.refused_count", count=len(refused), last=refused[-1]) if refused else "",
        ),
    )


def _place(title: Saying, rows: Rows, colour: str, words: Words) -> Place:
    shown = [(words.render(label), words.render(value)) for label, value in rows]
    brief = words.say("view.brief", place=title, rows=" · ".join(f"{name} {value}" for name, value in shown))
    return Place(words.render(title), shown, brief, colour)


def _stream(row: Playing) -> list[str]:
    return [
        row.name,
        str(row.frames),
        f"{row.bits_per_second / 1e6:.2f}",
        "–" if row.setup_ms is None else f"{row.setup_ms:.0f}",
        "–" if row.delay_ms is None else f"{row.delay_ms:.0f}",
    ]
