"""The demo's live terminal view: both networks, the lock between them, what plays, what was refused."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

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
        self._live = Live(console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, picture: Picture) -> None:
        self._live.update(Screen(picture, self._words))


class Screen:
    """A picture as large as the terminal has room for: the least important lines go first.

    The richest of `_layouts` that fits is shown. What plays and how long it goes on is seen last of all.
    """

    def __init__(self, picture: Picture, words: Words) -> None:
        self._picture = picture
        self._words = words

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = console.size.height
        for layout in self._layouts():
            chosen = Group(*layout)
            if len(console.render_lines(chosen, options, pad=False)) <= rows:
                break
        yield chosen

    def _layouts(self) -> Iterator[Sequence[RenderableType]]:
        """From about 20 lines to one."""
        title, catalog, refused = self._title(), self._catalog(), self._refused()
        everyone = len(self._picture.playing)
        media = [*self._streams(everyone), *self._voice()]
        yield title, self._networks(), catalog, *media, *refused
        yield title, *self._brief(), catalog, *media, *refused
        yield title, *self._brief(), catalog, *media, *self._refused(brief=True)
        yield title, *self._brief(), catalog, *media
        yield title, catalog, *media
        yield title, catalog, *self._streams(everyone)
        for shown in range(everyone - 1, 0, -1):
            yield title, catalog, *self._streams(shown)
        yield title, *self._streams(1)
        yield (title,)

    def _title(self) -> Text:
        left = max(0.0, self._picture.seconds - self._picture.elapsed)
        words = self._words.say("view.title", phase=self._picture.phase, left=f"{left:.0f}")
        return Text(words, style="bold", no_wrap=True, overflow="ellipsis")

    def _networks(self) -> Table:
        """Both networks and the lock in frames, side by side."""
        table = Table.grid(expand=True)
        for ratio in (3, 2, 3):
            table.add_column(ratio=ratio)
        table.add_row(*(self._panel(*shown) for shown in self._places()))
        return table

    def _places(self) -> list[tuple[Saying, Rows, str]]:
        picture = self._picture
        return [
            (saying("view.outer"), picture.outer, "yellow"),
            (saying("view.lock"), picture.lock, "magenta"),
            (saying("view.inner"), picture.inner, "cyan"),
        ]

    def _panel(self, title: Saying, rows: Rows, colour: str) -> Panel:
        table = Table.grid(padding=(0, 1))
        for label, value in rows:
            table.add_row(Text(self._words.render(label), style="dim"), self._words.render(value))
        return Panel(table, title=self._words.render(title), border_style=colour)

    def _brief(self) -> Iterator[Text]:
        """The same without frames, a line each."""
        for place, rows, colour in self._places():
            shown = " · ".join(
                f"{self._words.render(name)} {self._words.render(value)}" for name, value in rows
            )
            brief = self._words.say("view.brief", place=place, rows=shown)
            yield Text(brief, style=colour, no_wrap=True, overflow="ellipsis")

    def _catalog(self) -> Table:
        picture = self._picture
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(justify="right", no_wrap=True)
        table.add_row(
            self._words.say("view.catalog"),
            ProgressBar(total=max(picture.expected, 1), completed=picture.received),
            f"{picture.received}/{picture.expected or '?'}",
        )
        return table

    def _streams(self, shown: int) -> Iterator[RenderableType]:
        """The first so many of what plays, and how many more there are."""
        say = self._words.say
        rows = self._picture.playing
        table = Table(expand=True, box=None, padding=(0, 1, 0, 0))
        table.add_column(say("view.playing"), no_wrap=True, ratio=1)
        for heading in (say("view.frames"), say("view.rate"), say("view.setup"), say("view.delay")):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in rows[:shown]:
            table.add_row(
                Text(row.name, no_wrap=True, overflow="ellipsis"),
                str(row.frames),
                f"{row.bits_per_second / 1e6:.2f}",
                "–" if row.setup_ms is None else f"{row.setup_ms:.0f}",
                "–" if row.delay_ms is None else f"{row.delay_ms:.0f}",
            )
        yield table
        if shown < len(rows):
            yield Text(say("view.more", count=len(rows) - shown), style="dim", no_wrap=True)

    def _voice(self) -> Iterator[Text]:
        if self._picture.voice is not None:
            said = self._words.render(self._picture.voice)
            yield Text(said, style="green", no_wrap=True, overflow="ellipsis")

    def _refused(self, *, brief: bool = False) -> list[RenderableType]:
        lines = [self._words.render(line) for line in self._picture.refused]
        if not lines:
            return []
        if brief:
            said = self._words.say("view.refused_count", count=len(lines), last=lines[-1])
            return [Text(said, style="red", no_wrap=True, overflow="ellipsis")]
        return [Panel(Text("\n".join(lines)), title=self._words.say("view.refused"), border_style="red")]
