"""What happens to datagrams, and the chances that decide it: the same seed, the same fates."""

import random
import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct


class UnusablePlan(Exception):
    """The file can't be read, or is no plan; the text says what is wrong."""


class Way(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of datagrams in one direction. Chances are 0 to 1, times in seconds.

    `reorder`: the chance to be overtaken, by what comes up to `hold` seconds later. `drop`: the numbers of
    datagrams, counted from 1, that are lost whatever the dice say.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    hold: float = 0.1
    drop: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not all(0.0 <= chance <= 1.0 for chance in (self.loss, self.duplicate, self.reorder)):
            raise ValueError("a chance is between 0 and 1")
        if min(self.delay, self.jitter, self.hold) < 0.0:
            raise ValueError("a time is not negative")


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seed: int = 1
    to_other: Way = Way()
    to_one: Way = Way()


def read_plan(file: Path) -> Plan:
    """Raises `UnusablePlan`."""
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Plan)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UnusablePlan(str(error)) from error


class Fates:
    """One direction: for each datagram the moments, from now, at which a copy of it goes on."""

    def __init__(self, way: Way, seed: str) -> None:
        self._way = way
        self._dice = random.Random(seed)
        self._number = 0
        self.passed = self.lost = self.doubled = self.delayed = self.reordered = 0

    def next(self) -> list[float]:
        """Of the next datagram; [] where it is lost."""
        way, chance = self._way, self._dice.random
        self._number += 1
        # Each datagram takes as many numbers as any other, so what happens to one changes no other's fate.
        lost, doubled, held, late, echo = (chance() for _ in range(5))
        if lost < way.loss or self._number in way.drop:
            self.lost += 1
            return []
        self.passed += 1
        wait = way.delay + late * way.jitter
        if held < way.reorder:
            self.reordered += 1
            wait += way.hold
        self.delayed += wait > 0.0
        if doubled < way.duplicate:
            self.doubled += 1
            return [wait, wait + echo * max(way.jitter, 0.01)]
        return [wait]
