"""Approval tickets: a person lets one peer do one thing with one channel for some hours.

While it counts a ticket is a rule above all others. It is not part of the list that both hosts compare, so it
makes no row unreadable; on two hosts it is granted on both.
"""

import math
from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta, Struct

from cascade.crossing import Direction
from gateway.chamber.rules import Rule

PREFIX: Final = "ticket-"
"""How the ids of tickets begin, and of no rule."""

MAX_HOURS: Final = 168.0
MAX_TICKETS: Final = 10_000
Text = Annotated[str, Meta(min_length=1, max_length=128)]


class Ticket(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times are seconds since 1970; `until` is a whole minute."""

    number: Annotated[int, Meta(ge=1)]
    direction: Direction
    peer: Text
    action: Text
    channel: Text  # its peer, "/" and its name
    since: float
    until: float
    by: Text
    reason: Text

    @property
    def id(self) -> str:
        return f"{PREFIX}{self.number}"

    @property
    def name(self) -> str:
        """What its peer calls the channel, by which rules know it."""
        return self.channel.partition("/")[2]

    def counts(self, wall: float) -> bool:
        return wall < self.until

    def rule(self) -> Rule:
        return Rule(
            id=self.id,
            direction=self.direction,
            action=self.action,
            peer=self.peer,
            channels=(f"id:{self.name}",),
            verdict="allow",
            reason=self.reason,
        )


def end_of(wall: float, hours: float) -> float:
    """When so many hours are over, up to the next whole minute: rules change with the minutes."""
    return math.ceil((wall + hours * 3600) / 60) * 60.0


def next_number(tickets: Iterable[Ticket], last: int) -> int:
    """A number that was never given; `last` is the highest that is known to have been."""
    return max([last, *(ticket.number for ticket in tickets)]) + 1
