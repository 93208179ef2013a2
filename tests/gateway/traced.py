"""What `lockgate trace` would show of a world, without terminal and socket; answers go over the wire form."""

from dataclasses import dataclass
from datetime import UTC

from gateway.local.messages import Trace, Traced, encode, read_response
from gateway.trace.desk import Desk
from gateway.trace.diagnosis import diagnose
from gateway.trace.facts import SideName
from gateway.trace.ladder import ASCII, draw, rows
from gateway.trace.story import Story, chosen, stories
from gateway.words import Saying, Words
from tests.gateway.world import World


def desk(here: World, *sides: SideName) -> Desk:
    """Of the whole gateway, or as on a host that has only these sides."""
    seats = {"outer": here.gateway.outer.seat, "inner": here.gateway.inner.seat}
    return Desk([seats[side] for side in sides or ("outer", "inner")], wall=seats["outer"].book.now)


@dataclass(frozen=True)
class Told:
    """One answer, and what is made of it."""

    answer: Traced
    stories: list[Story]
    story: Story
    sentence: Saying

    def lines(self, width: int = 132) -> list[str]:
        return draw(rows(self.story, Words("en")), width, Words("en"), ASCII, UTC)

    @property
    def said(self) -> str:
        return str(self.sentence)

    def shows(self, *texts: str) -> None:
        """Each text stands in a line of its own, in this order."""
        lines = self.lines(200)
        at = 0
        for text in texts:
            found = [number for number, line in enumerate(lines) if number >= at and text in line]
            assert found, f"no {text!r} from line {at} on in:\n" + "\n".join(lines)
            at = found[0] + 1


def answered(here: World, what: str, *sides: SideName) -> Traced:
    answer = read_response(encode(desk(here, *sides).trace(Trace(what=what))))
    assert isinstance(answer, Traced)
    return answer


def traced(here: World, what: str, *sides: SideName) -> Told:
    return told_of(answered(here, what, *sides))


def told_of(answer: Traced) -> Told:
    told = stories(answer)
    story = chosen(told, answer, answer.what)
    assert story is not None, f"nothing is known of {answer.what}"
    return Told(answer, told, story, diagnose(story))
