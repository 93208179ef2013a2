"""A SIP call as a leg of a media session, and all legs of one face by their peer."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from cascade.crossing import Failure
from cascade.errors import StreamFailed
from cascade.model.ids import PlatformId
from cascade.model.ssrc import SsrcPool
from cascade.ports import Agreed, KeptDialog, Store
from cascade.status import FAILURE_STATUS
from sip.aio.calls import Call, Calls
from sip.dialog import DialogState
from sip.headers.reason import reason

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 0.1
"""How long a leg waits for its record to be written; a slow disk must not cost a picture."""

AFRESH_SECONDS: Final = 3
"""After a start: by then what was known before is there again, so that another attempt is worth it."""

RESTARTED: Final = reason(503, "the gateway was restarted")
"""Why a leg ends that an earlier process left behind."""


class CallLeg:
    """One dialog with media. It is over by BYE, or when its peer is lost (`lose`)."""

    def __init__(self, call: Call, agreed: Agreed) -> None:
        self.agreed = agreed
        self._call = call
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def confirmed(self) -> None:
        """Return once the ACK was sent (placed) or seen (accepted).

        Raises:
            StreamFailed: the other end never confirmed.
        """
        acknowledged = self._call.acknowledged
        over: list[asyncio.Future[None] | asyncio.Future[str]] = [acknowledged, self._lost]
        await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        if not acknowledged.done() or acknowledged.exception() is not None:
            raise StreamFailed("timeout", await self.ended())

    async def ended(self) -> str:
        """Wait until the other end is over; return why."""
        await asyncio.wait({self._call.ended, self._lost}, return_when=asyncio.FIRST_COMPLETED)
        return self._lost.result() if self._lost.done() else self._call.ended.result()

    def because(self, failure: Failure, text: str) -> None:
        """Say why we end: the Reason header (RFC 3326) of our BYE."""
        self._call.reason = reason(FAILURE_STATUS[failure], text)

    def lose(self, reason: str) -> None:
        """Its peer is gone: whoever waits for the end hears it now."""
        if not self._lost.done():
            self._lost.set_result(reason)


class Legs:
    """The legs of one face, so that a peer that is lost takes its own with it."""

    def __init__(self) -> None:
        self._legs: dict[PlatformId, set[CallLeg]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._legs.values()))

    @contextmanager
    def held(self, peer: PlatformId, leg: CallLeg) -> Iterator[CallLeg]:
        mine = self._legs.setdefault(peer, set())
        mine.add(leg)
        try:
            yield leg
        finally:
            mine.discard(leg)
            if not mine:
                self._legs.pop(peer, None)

    def lose(self, peer: PlatformId, reason: str) -> None:
        """End every leg of `peer`."""
        for leg in list(self._legs.get(peer, ())):
            leg.lose(reason)


class LegMemo:
    """The record of one leg in the store: kept while its dialog may exist at the peer, then dropped."""

    def __init__(
        self, store: Store, peer: PlatformId, media_port: int, *, key: tuple[str, str] | None = None
    ) -> None:
        self._store = store
        self._peer = peer
        self._media_port = media_port
        self._key = key  # Call-ID and our tag

    def keep(self, dialog: DialogState) -> None:
        self._key = dialog.call_id, dialog.local_tag
        host, port = dialog.source
        self._store.save_dialog(
            KeptDialog(
                peer=self._peer,
                media_port=self._media_port,
                call_id=dialog.call_id,
                local=dialog.local,
                local_tag=dialog.local_tag,
                remote=dialog.remote,
                remote_tag=dialog.remote_tag,
                local_cseq=dialog.local_cseq,
                target=dialog.target,
                routes=dialog.routes,
                host=host,
                port=port,
                early=dialog.early,
                request=dialog.request,
            )
        )

    async def kept(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(KEPT_SECONDS):
                await self._store.written()

    def drop(self) -> None:
        if self._key is not None:
            self._store.drop_dialog(*self._key)


def end_remembered(remembered: Sequence[KeptDialog], calls: Calls, store: Store) -> None:
    """Say BYE on every leg that an earlier process left behind, and refuse each INVITE it did not answer.

    Each is forgotten once it is over.
    """
    host, _ = calls.endpoint.local
    refusal = (
        ("Retry-After", str(AFRESH_SECONDS)),
        ("Warning", f'399 {host} "the gateway was restarted"'),
    )
    for kept in remembered:
        memo = LegMemo(store, kept.peer, kept.media_port, key=(kept.call_id, kept.local_tag))
        state = DialogState(
            call_id=kept.call_id,
            local=kept.local,
            local_tag=kept.local_tag,
            remote=kept.remote,
            remote_tag=kept.remote_tag,
            local_cseq=kept.local_cseq,
            target=kept.target,
            routes=kept.routes,
            source=(kept.host, kept.port),
            early=kept.early,
            request=kept.request,
        )
        calls.end(state, memo, reason=RESTARTED, refusal=refusal)
    if remembered:
        log.warning("legs.left_by_earlier_process", extra={"count": len(remembered)})


@contextmanager
def numbered(pool: SsrcPool, time: Callable[[], float]) -> Iterator[int]:
    """Hold an SSRC of our domain for one leg; it rests afterwards.

    Raises:
        StreamFailed: all are in use.
    """
    number = pool.take(time())
    if number is None:
        raise StreamFailed("busy", "all SSRCs of the domain are in use")
    try:
        yield number
    finally:
        pool.give_back(number, time())
