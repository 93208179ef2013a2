"""The demo's live terminal view: both networks, the lock between them, what plays, what was refused."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


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
    """Everything the view shows, at one moment."""

    phase: str
    elapsed: float
    seconds: float
    outer: list[tuple[str, str]] = field(default_factory=list)
    lock: list[tuple[str, str]] = field(default_factory=list)
    inner: list[tuple[str, str]] = field(default_factory=list)
    received: int = 0
    expected: int = 0
    playing: list[Playing] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class View(Protocol):
    def show(self, picture: Picture) -> None: ...

    def say(self, line: str) -> None:
        """One line that stays on the screen."""
        ...


class PlainView:
    """For pipes and logs: a line when the phase changes, and one a few seconds."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._phase = ""
        self._next = 0.0

    def show(self, picture: Picture) -> None:
        if picture.phase == self._phase and picture.elapsed < self._next:
            return
        self._phase, self._next = picture.phase, picture.elapsed + 5.0
        frames = ", ".join(f"camera {p.camera}: {p.frames} frames" for p in picture.playing)
        self._write(f"[{picture.elapsed:5.1f} s] {picture.phase}" + (f" ({frames})" if frames else ""))

    def say(self, line: str) -> None:
        self._write(line)


class LiveView:
    """For terminals. Use `with`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, picture: Picture) -> None:
        self._live.update(render(picture))

    def say(self, line: str) -> None:
        self._console.print(line)


def render(picture: Picture) -> RenderableType:
    """The whole screen: about 20 lines, 80 columns and more."""
    networks = Table.grid(expand=True)
    for ratio in (3, 2, 3):
        networks.add_column(ratio=ratio)
    networks.add_row(
        _panel("public network · outer side", picture.outer, "yellow"),
        _panel("the lock", picture.lock, "magenta"),
        _panel("public-security network · inner", picture.inner, "cyan"),
    )
    catalog = Table.grid(padding=(0, 1), expand=True)
    catalog.add_column(ratio=1)
    catalog.add_column(ratio=4)
    catalog.add_column(ratio=1, justify="right")
    catalog.add_row(
        "catalog above",
        ProgressBar(total=max(picture.expected, 1), completed=picture.received),
        f"{picture.received}/{picture.expected or '?'}",
    )
    left = max(0.0, picture.seconds - picture.elapsed)
    title = Text(f"Lockgate · {picture.phase} · {left:.0f} s left · Ctrl-C stops", style="bold")
    parts: list[RenderableType] = [title, networks, catalog, _streams(picture.playing)]
    if picture.refused:
        parts.append(Panel("\n".join(picture.refused), title="refused by the rules", border_style="red"))
    return Group(*parts)


def _panel(title: str, rows: list[tuple[str, str]], colour: str) -> Panel:
    table = Table.grid(padding=(0, 1))
    for label, value in rows:
        table.add_row(Text(label, style="dim"), value)
    return Panel(table, title=title, border_style=colour)


def _streams(playing: list[Playing]) -> Table:
    table = Table(expand=True, title="playing through the lock", title_justify="left", box=None)
    table.add_column("camera")
    for heading in ("frames", "Mbit/s", "set-up ms", "glass to glass ms"):
        table.add_column(heading, justify="right")
    for row in playing:
        table.add_row(
            row.name,
            str(row.frames),
            f"{row.bits_per_second / 1e6:.2f}",
            "–" if row.setup_ms is None else f"{row.setup_ms:.0f}",
            "–" if row.delay_ms is None else f"{row.delay_ms:.0f}",
        )
    return table
