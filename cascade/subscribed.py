"""A subscription at this moment, for displays: who is told of what, until when, and what was said last."""

from dataclasses import dataclass

from cascade.peers import Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """`until`, `told`: seconds of the loop's clock. `told` is None before the first notice."""

    topic: Topic
    target: str  # the id that it is about, as its subscriber calls it
    until: float
    told: float | None = None
    notices: int = 0
    changes: int | None = None  # in the last one about the catalog, as far as we wrote it
