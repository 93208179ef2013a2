"""A page of both networks and the lock between them, as large as the terminal has room for.

It knows no words and no gateway: what it shows is text already. `lockgate status --watch` and the demo
draw with it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Place:
    """A network, or the lock: labels with what stands beside them. `brief` is all of it in one line."""

    title: str
    rows: Sequence[tuple[str, str]]
    brief: str
    colour: str


@dataclass(frozen=True, slots=True)
class Bar:
    """How far something is; `total` 0 is not known yet."""

    label: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Streams: the first column is a name that may be cut, the others are numbers."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: Callable[[int], str]  # says how many there are besides


@dataclass(frozen=True, slots=True)
class Refusals:
    title: str
    lines: Sequence[str]
    brief: str


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    places: Sequence[Place]
    listing: Listing
    bar: Bar | None = None
    notes: Sequence[str] = field(default_factory=list)
    refusals: Refusals | None = None


class Screen:
    """The least important lines go first: the richest of `_layouts` that fits is shown.

    What plays and the title are seen last of all.
    """

    def __init__(self, page: Page) -> None:
        self._page = page

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = console.size.height
        for layout in self._layouts():
            chosen = Group(*layout)
            if len(console.render_lines(chosen, options, pad=False)) <= rows:
                break
        yield chosen

    def _layouts(self) -> Iterator[Sequence[RenderableType]]:
        """From about 20 lines to one."""
        title, refused = self._title(), self._refused()
        bar = list(self._bar())
        everyone = len(self._page.listing.rows)
        media = [*self._streams(everyone), *self._notes()]
        yield title, self._networks(), *bar, *media, *refused
        yield title, *self._brief(), *bar, *media, *refused
        yield title, *self._brief(), *bar, *media, *self._refused(brief=True)
        yield title, *self._brief(), *bar, *media
        yield title, *bar, *media
        yield title, *bar, *self._streams(everyone)
        for shown in range(everyone - 1, 0, -1):
            yield title, *bar, *self._streams(shown)
        yield title, *self._streams(1)
        yield (title,)

    def _title(self) -> Text:
        return _line(self._page.title, "bold")

    def _networks(self) -> Table:
        """Both networks and the lock in frames, side by side."""
        table = Table.grid(expand=True)
        for ratio in (3, 2, 3):
            table.add_column(ratio=ratio)
        table.add_row(*map(_panel, self._page.places))
        return table

    def _brief(self) -> Iterator[Text]:
        """The same without frames, a line each."""
        return (_line(place.brief, place.colour) for place in self._page.places)

    def _bar(self) -> Iterator[Table]:
        bar = self._page.bar
        if bar is None:
            return
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(justify="right", no_wrap=True)
        shown = ProgressBar(total=max(bar.total, 1), completed=bar.done)
        table.add_row(bar.label, shown, f"{bar.done}/{bar.total or '?'}")
        yield table

    def _streams(self, shown: int) -> Iterator[RenderableType]:
        """The first so many of what plays, and how many more there are."""
        name, *numbers = self._page.listing.headings
        rows = self._page.listing.rows
        table = Table(expand=True, box=None, padding=(0, 1, 0, 0))
        table.add_column(name, no_wrap=True, ratio=1)
        for heading in numbers:
            table.add_column(heading, justify="right", no_wrap=True)
        for first, *rest in rows[:shown]:
            table.add_row(_line(first, ""), *rest)
        yield table
        if shown < len(rows):
            yield Text(self._page.listing.more(len(rows) - shown), style="dim", no_wrap=True)

    def _notes(self) -> Iterator[Text]:
        return (_line(note, "green") for note in self._page.notes)

    def _refused(self, *, brief: bool = False) -> list[RenderableType]:
        refusals = self._page.refusals
        if refusals is None or not refusals.lines:
            return []
        if brief:
            return [_line(refusals.brief, "red")]
        return [Panel(Text("\n".join(refusals.lines)), title=refusals.title, border_style="red")]


class LiveScreen:
    """A page that is drawn again in place. Use `with`."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> "LiveScreen":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, page: Page) -> None:
        self._live.update(Screen(page))


def _panel(place: Place) -> Panel:
    table = Table.grid(padding=(0, 1))
    for label, value in place.rows:
        table.add_row(Text(label, style="dim"), value)
    return Panel(table, title=place.title, border_style=place.colour)


def _line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
