"""Questions of uppers about one channel: asked through the gate, answered under their own SN and id.

Each has exactly one answer: what came back, what we say ourselves, or ERROR in the place of a device that
is silent. SN, ids and names of the two sides are tied together here.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cascade.as_lower.answers import about_us, answer_body, is_device, no_answer
from cascade.as_lower.uppers import Upper
from cascade.as_lower.voices import Voice, Voices
from cascade.crossing import Answer, Ask
from cascade.limits import Bounds
from cascade.manscdp import CONTENT_TYPE, Head
from cascade.model.commands import Command, subjects
from cascade.model.commands.broadcast import AskBroadcast
from cascade.model.ids import ChannelId
from cascade.peers import Us
from cascade.ports import Gate
from cascade.questions import Questions
from cascade.status import FAILURE_STATUS
from sip.endpoint import Endpoint, Party

ASK_SECONDS: Final = 30.0
"""How long one answer may take through a cascade (business answer)."""

LINK_SECONDS: Final = 1.0
"""How much longer we wait than the other side may take, before we answer for it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An upper's question on its way: how to answer it."""

    upper: Upper
    sn: str
    asker: str
    shown: str
    question: Command
    voice: Voice | None = None  # that the question announces


class Asking:
    """The questions of one face. `plan` is called when deadlines changed; `counts` is the face's."""

    def __init__(
        self,
        *,
        us: Us,
        ourselves: ChannelId,
        endpoint: Endpoint,
        gate: Gate,
        voices: Voices,
        loop: asyncio.AbstractEventLoop,
        wall: Callable[[], float],
        correlation: Callable[[], int],
        counts: Counter[str],
        plan: Callable[[], None],
        bounds: Bounds,
    ) -> None:
        self._us = us
        self._ourselves = ourselves
        self._endpoint = endpoint
        self._gate = gate
        self._voices = voices
        self._loop = loop
        self._wall = wall
        self._correlation = correlation
        self._counts = counts
        self._plan = plan
        self._open: Questions[int, Asked] = Questions(bounds)

    def ask(self, asked: Asked) -> int:
        """Send a question about one channel through the gate; its status tells what the near door says."""
        correlation = self._correlation()
        due = self._loop.time() + ASK_SECONDS + LINK_SECONDS
        if not self._open.ask(correlation, asked, due=due):
            return 503
        verdict = self._gate.send(
            Ask(
                correlation=correlation,
                origin=asked.upper.peer.id,
                seconds_left=ASK_SECONDS,
                payload=asked.question,
            )
        )
        if verdict.passes is None:
            self._open.take(correlation)
            return FAILURE_STATUS[verdict.failure]
        if asked.voice is not None:
            self._voices.announce(correlation, asked.voice, due=due)
        self._plan()
        return 200

    def ask_ourselves(self, asked: Asked) -> int:
        """A question about us, which crosses nothing."""
        self._loop.call_soon(self._answer_ourselves, asked)
        return 200

    def announced(self, asker: str, head: Head, upper: Upper) -> int:
        """Somebody above wants to speak. Where nobody can listen the answer says so, not a status (6.2)."""
        if not (head.sn.isdigit() and len(head.sn) <= 10):
            return 400
        channel = upper.share.resolve(head.device_id)
        known = channel is not None and head.source_id != "" and is_device(head.device_id)
        asked = Asked(
            upper,
            head.sn,
            asker,
            head.device_id,
            AskBroadcast(target=channel if channel is not None and known else self._ourselves),
            Voice(upper.peer, head.source_id, head.device_id),
        )
        if not known:
            self._loop.call_soon(self._answer_for, asked)
            return 200
        return self.ask(asked)

    def answered(self, answer: Answer[Command]) -> None:
        """An answer came back; one that is about something else than was asked is no answer."""
        asked = self._open.take(answer.correlation)
        if asked is None:
            return
        if subjects(answer.payload)[:1] != subjects(asked.question)[:1]:
            self._counts["answers_mismatched"] += 1
            self._answer_for(asked)
            return
        self._respond(asked, answer.payload)

    def unanswered(self, correlation: int) -> None:
        """Nothing will come for this question."""
        self._answer_for(self._open.take(correlation))

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        return self._open.deadline

    def advance(self, now: float) -> None:
        """Answer for whoever beyond did not in time."""
        for asked in self._open.advance(now):
            self._counts["answers_missing"] += 1
            self._answer_for(asked)

    def _answer_ourselves(self, asked: Asked) -> None:
        payload = about_us(asked.question, self._us, shared=asked.upper.share.size, wall=self._wall())
        if payload is not None:
            self._respond(asked, payload)

    def _answer_for(self, asked: Asked | None) -> None:
        """Say ERROR in the place of a device that did not answer."""
        payload = None if asked is None else no_answer(asked.question)
        if asked is not None and payload is not None:
            self._respond(asked, payload)

    def _respond(self, asked: Asked, payload: Command) -> None:
        """Send the upper its business answer, under its own SN and the id it asked for."""
        if asked.upper.gone:
            return
        upper = asked.upper.peer
        body = answer_body(payload, sn=asked.sn, shown=asked.shown, charset=upper.charset)
        if body is None:
            self._counts["answers_mismatched"] += 1
            return
        self._endpoint.send(
            self._endpoint.request(
                "MESSAGE",
                Party(asked.asker, upper.domain),
                (upper.host, upper.port),
                body=body,
                content_type=CONTENT_TYPE,
            )
        )
