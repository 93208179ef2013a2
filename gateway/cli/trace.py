"""`lockgate trace`: where did it die? A client of the running gateway (`gateway.local`)."""

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.cli.check import DEFAULT, config_option
from gateway.cli.scaffold import Frame
from gateway.cli.status import state_of
from gateway.local.client import Gateway, Unanswered, connected
from gateway.local.messages import Traced
from gateway.trace.diagnosis import diagnose
from gateway.trace.facts import AnyFact, Crossed, Message
from gateway.trace.ladder import COUNTS, Row, draw, rows, signs_for
from gateway.trace.merging import Gathered
from gateway.trace.pcapng import capture, verdicts
from gateway.trace.story import Story, chosen, stories
from gateway.words import Saying, Words, saying
from gateway.words.system import reason

FOLLOW_SECONDS: Final = 1.0
MOST_EARLIER: Final = 10
LONGEST: Final = 128
NAMES_OTHER_HOST: Final = {"trace.beyond", "trace.waiting_beyond", "trace.leg_silent_half"}
"""Sentences that say themselves what to ask there."""


def add(app: typer.Typer, frame: Frame) -> None:
    words = frame.words

    @app.command("trace", **frame.command(words.say("help.trace")))
    def command(
        what: Annotated[str, typer.Argument(help=words.say("help.what"), metavar="WHAT")],
        follow: Annotated[bool, typer.Option("--follow", help=words.say("help.follow"))] = False,
        pcapng: Annotated[
            Path | None, typer.Option("--pcapng", help=words.say("help.pcapng"), metavar="FILE")
        ] = None,
        config: Annotated[Path, config_option(words)] = DEFAULT,
    ) -> None:
        try:
            with connected(state_of(config, words)) as gateways:
                trace(gateways, asked_for(what), words, follow=follow, pcapng=pcapng)
        except Unanswered as error:
            typer.echo(words.render(error.said), err=True)
            raise typer.Exit(2) from error


def trace(
    gateways: Sequence[Gateway], what: str, words: Words, *, follow: bool = False, pcapng: Path | None = None
) -> None:
    """Draw it, say what became of it, and write the capture. Exits 1 where nothing is known of it."""
    width = shutil.get_terminal_size((132, 24)).columns
    page = Page(words, width, sys.stdout.encoding or "ascii", typer.echo)
    gathered = Gathered(what)
    try:
        while True:
            for gateway in gateways:
                gathered.take(gateway.trace(gathered.wanted()))
            if not follow:
                break
            page.follow(gathered.whole())
            time.sleep(FOLLOW_SECONDS)
    except KeyboardInterrupt:
        typer.echo("")
    known = page.show(gathered.whole(), ladder=not follow)
    if pcapng is not None:
        write(pcapng, gathered.whole(), known, words)
    if known is None:
        raise typer.Exit(1)


def asked_for(text: str) -> str:
    """The words of a command line as a name: nothing has a longer one, or one that is no Unicode."""
    return text.strip().encode("utf-8", "replace").decode()[:LONGEST]


class Page:
    """What is shown of an answer, and while following what of it was shown already."""

    def __init__(self, words: Words, width: int, encoding: str, write: Callable[[str], None]) -> None:
        self._words = words
        self._width = width
        self._signs = signs_for(encoding)
        self._write = write
        self._shown: set[tuple[object, ...]] = set()
        self._headed = False

    def show(self, traced: Traced, *, ladder: bool = True) -> Story | None:
        """The ladder of the story that answers, earlier ones in a line each, and the sentence."""
        told = stories(traced)
        story = chosen(told, traced, traced.what)
        if story is None:
            self._write(self._words.say("trace.nothing_known"))
            return None
        if ladder:
            self._write(title(story, traced.what, self._words))
            for line in draw(rows(story, self._words), self._width, self._words, self._signs):
                self._write(line)
        self._earlier([one for one in told if one is not story and one.kind != "talk"])
        if traced.cut:
            self._write(self._words.say("trace.cut"))
        self._write("")
        sentence = diagnose(story)
        self._write(self._words.render(sentence))
        if sentence.key not in NAMES_OTHER_HOST and (rest := other_half(story, traced)) is not None:
            self._write(self._words.render(rest))
        return story

    def follow(self, traced: Traced) -> None:
        """The rows that are new."""
        fresh: list[Row] = []
        for story in stories(traced):
            for row in rows(story, self._words):
                if row.rank >= COUNTS:
                    continue  # they change each time; the sentence at the end has them
                key = row.at, row.place, row.text.split(" (")[0]
                if key not in self._shown:
                    self._shown.add(key)
                    fresh.append(row)
        fresh.sort(key=lambda row: (row.at, row.rank))
        if fresh:
            lines = draw(fresh, self._width, self._words, self._signs, heads=not self._headed)
            self._headed = True
            for line in lines:
                self._write(line)

    def _earlier(self, others: Sequence[Story]) -> None:
        if not others:
            return
        self._write("")
        self._write(self._words.say("trace.earlier_head"))
        for story in others[-MOST_EARLIER:]:
            moment = datetime.fromtimestamp(story.begins).astimezone().strftime("%H:%M:%S")
            number = "-" if story.correlation is None else str(story.correlation)
            sentence = diagnose(story)
            self._write(self._words.say("trace.earlier", time=moment, correlation=number, sentence=sentence))
        self._write(self._words.say("trace.earlier_hint"))


def other_half(story: Story, traced: Traced) -> Saying | None:
    """Where the rest of it is told, where one host of two was asked; None where there is no more.

    The link carries crossings and nothing else, so no host asks the other one (decision 021).
    """
    if len(traced.newest) != 1 or story.correlation is None:
        return None
    (asked,) = traced.newest
    side, other = saying("side.outer"), saying("side.inner")
    if asked == "inner":
        side, other = other, side
    return saying("trace.other_half", side=side, other=other, correlation=story.correlation)


def title(story: Story, what: str, words: Words) -> str:
    channel = story.channel.rpartition("/")[2]
    match story.kind:
        case "talk":
            return words.say("trace.title_talk", what=what)
        case "call":
            return words.say("trace.title_call", what=what, origin=story.origin, channel=channel)
        case _:
            return words.say(
                "trace.title",
                what=story.asked_for,
                channel=channel,
                origin=story.origin,
                correlation=story.correlation or 0,
            )


def write(file: Path, traced: Traced, story: Story | None, words: Words) -> None:
    """Everything that was handed out, as pcapng. Exits 2 where the file cannot be written."""
    facts: Sequence[AnyFact] = traced.facts
    messages = [fact for fact in facts if isinstance(fact, Message)]
    crossings = [fact for fact in facts if isinstance(fact, Crossed)]
    about = "" if story is None else words.render(diagnose(story))
    data = capture(messages, verdicts(messages, crossings), about=about)
    try:
        file.touch(mode=0o600)  # it says who watches what
        file.write_bytes(data)
    except OSError as error:
        typer.echo(words.say("trace.unwritable", file=str(file), reason=reason(error)), err=True)
        raise typer.Exit(2) from error
    typer.echo(words.say("trace.wrote", packets=len(messages), file=str(file)))
