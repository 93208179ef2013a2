"""Which crossings are of no use later, and which must not be lost."""

from cascade.crossing import Ask, CatalogBatch, Crossing, Notice, StreamControl, StreamEnded, StreamOpen
from cascade.model.commands.presence import Presence


def asks_something(crossing: Crossing) -> bool:
    """A question or a command, which is of no use later: whoever asked hears at once that it is lost."""
    if isinstance(crossing, Notice):
        return not isinstance(crossing.payload, Presence)
    return isinstance(crossing, Ask | StreamOpen | StreamControl)


def says_how_things_are(crossing: Crossing) -> bool:
    """An end, rows or presence: said once, so it must not be lost. A question is asked again."""
    if isinstance(crossing, Notice):
        return isinstance(crossing.payload, Presence)
    return isinstance(crossing, StreamEnded | CatalogBatch)
