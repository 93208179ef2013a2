"""Voices that uppers announced: who wants to speak, and our INVITE that fetches it (9.12, 6.6)."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cascade.addresses import Networks
from cascade.crossing import Encoding
from cascade.errors import StreamFailed
from cascade.limits import Bounds
from cascade.model.ids import PlatformId
from cascade.peers import UpperPeer
from cascade.placing import Invitation, Placer
from cascade.ports import Agreed, Leg
from cascade.questions import Questions
from cascade.sdp import VOICE_FORMAT, voices
from sip.endpoint import Party


@dataclass(frozen=True, slots=True)
class Voice:
    """`upper` wants to speak as `source`, to what it knows as `target`."""

    upper: UpperPeer
    source: str
    target: str


class Voices:
    """The voices of one face, by their questions' numbers, until each is over or nobody may call for it."""

    def __init__(
        self, placer: Placer, networks: Mapping[PlatformId, Networks], bounds: Bounds | None = None
    ) -> None:
        self._placer = placer
        self._networks = networks
        self._open: Questions[int, Voice] = Questions(bounds)

    def __len__(self) -> int:
        return len(self._open)

    def announce(self, number: int, voice: Voice, *, due: float) -> None:
        self._open.ask(number, voice, due=due)

    def speaker(self, number: int) -> UpperPeer | None:
        """Whose voice was announced under this number; None once nobody may call for it any more."""
        voice = self._open.find(number)
        return None if voice is None else voice.upper

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        return self._open.deadline

    def advance(self, now: float) -> None:
        """Forget what nobody called for in time."""
        self._open.advance(now)

    @asynccontextmanager
    async def listen(
        self, number: int, *, encodings: Sequence[Encoding], port: int, expect: Callable[[Agreed], None]
    ) -> AsyncIterator[Leg]:
        """Hold a leg that brings a voice to our `port`; see `Placer.place`.

        Raises:
            StreamFailed: no leg; `failure` says of what kind.
        """
        voice = self._open.find(number)
        networks = None if voice is None else self._networks.get(voice.upper.id)
        if voice is None or networks is None:  # or of one that is no upper of ours any more
            raise StreamFailed("not-found", "no voice is announced under this number")
        upper = voice.upper
        invitation = Invitation(
            peer=upper,
            at=(upper.host, upper.port),
            to=Party(voice.source, upper.domain),  # Q97: under the name that it gave itself
            sender=voice.source,
            receiver=voice.target,
            networks=networks,
            kind="audio",
            payloads=voices(encodings),
            description=VOICE_FORMAT,
        )
        try:
            async with self._placer.place(invitation, port=port, expect=expect) as leg:
                yield leg
        finally:  # it was spoken, or will not be: who calls later comes too late
            self._close(number)

    def _close(self, number: int) -> None:
        if number in self._open:
            self._open.take(number)
