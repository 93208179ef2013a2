"""`lockgate status --limits`: every limit of each side, what it is, and how often it was met."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from gateway.config_limits import met
from gateway.local.messages import SideState
from gateway.words import Words, saying

PIPE_COLUMNS = 120


def show(sides: Sequence[SideState], words: Words) -> None:
    """Print them: what was met stands out by its number."""
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    Console(width=width).print(table(sides, words))


def table(sides: Sequence[SideState], words: Words) -> Table:
    drawn = Table(box=None, pad_edge=False)
    drawn.add_column(words.say("status.limit"))
    for side in sides:
        name = saying("side.outer") if side.side == "outer" else saying("side.inner")
        drawn.add_column(words.say("status.limit_of", side=name), justify="right")
        drawn.add_column(words.say("status.limit_count"), justify="right")
    counted = [met(side.sip) for side in sides]
    for limit in dict.fromkeys(limit for side in sides for limit in side.limits):
        row = [limit]
        for side, counts in zip(sides, counted, strict=True):
            row += [f"{side.limits.get(limit, 0):,}", f"{counts[limit]:,}" if counts.get(limit) else "-"]
        drawn.add_row(*row)
    return drawn
