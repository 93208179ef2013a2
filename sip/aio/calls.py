"""INVITE dialogs with owners: a call lives as long as the `async with` that made it.

What the owner leaves is finished here, by the engine's events alone: CANCEL, the ACK and BYE of an
answer that came too late, the BYE of a call that nobody holds any more. So no cancellation, at
whatever moment it comes, leaves a dialog behind; `active` says how many are not over yet, and
`async with Calls(...)` waits for them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from sip.aio.ask import ask
from sip.aio.call import Call, Incoming, InviteKey, Placing
from sip.dialog import Key, Reachable, key_of
from sip.endpoint import Endpoint
from sip.errors import TransactionTimeout, TransportFailed
from sip.events import Event, Kind, Reply
from sip.request import Outgoing

__all__ = ["Call", "Calls", "Incoming", "ask"]

log = logging.getLogger(__name__)

LEAVING_SECONDS: Final = 110.0
"""How long an exit may take: a CANCEL is answered or forgotten in 70 s, a BYE in another 32."""


class Calls:
    """All INVITE dialogs of one endpoint. Takes INVITE, ACK, BYE, CANCEL and UNACKNOWLEDGED for itself.

    `reachable` says of a host in a Contact or Record-Route whether to send there; without it only the
    address the peer really sends from counts. `unknown_bye` answers a BYE of no dialog of ours: RFC 3261
    wants 481, some cameras repeat it until they see 200. An INVITE that `on_invite` leaves unanswered
    for `unanswered_seconds` is refused with 480; the engine forgets it after 180.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        reachable: Reachable | None = None,
        unknown_bye: int = 481,
        unanswered_seconds: float = 170.0,
    ) -> None:
        self.endpoint = endpoint
        self.reachable = reachable
        self.on_invite: Callable[[Incoming], None] = _refuse
        self._unknown_bye = unknown_bye
        self._unanswered_seconds = unanswered_seconds
        self._loop = asyncio.get_running_loop()
        self._placing: set[Placing] = set()
        self._incoming: dict[int, Incoming] = {}  # by the INVITE's transaction
        self._accepted: dict[int, Call] = {}  # by the INVITE's transaction, until it is acknowledged
        self._dialogs: dict[Key, Call] = {}
        self._open: set[InviteKey] = set()  # of incoming ones and of the calls they became
        self._idle = asyncio.Event()
        self._closing = False
        endpoint.handle(Kind.INVITE, self._on_invites)
        endpoint.handle(Kind.ACK, self._on_acks)
        endpoint.handle(Kind.BYE, self._on_byes)
        endpoint.handle(Kind.CANCEL, self._on_cancels)
        endpoint.handle(Kind.UNACKNOWLEDGED, self._on_unacknowledged)

    @property
    def active(self) -> int:
        """Calls and attempts that are not over at both ends, those being finished included."""
        return len(self._placing) + len(self._incoming) + len(self._dialogs)

    async def __aenter__(self) -> "Calls":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Refuse, cancel and end everything; return when nothing is left, or after `LEAVING_SECONDS`."""
        self._closing = True
        for placing in list(self._placing):
            placing.leave()
        for incoming in list(self._incoming.values()):
            incoming.refuse(503)
        for call in list(self._dialogs.values()):
            call.leave()
        try:
            async with asyncio.timeout(LEAVING_SECONDS):
                while self.active:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            log.error("calls.left_behind", extra={"active": self.active})

    def find(self, event: Event) -> Call | None:
        """The call that a request of the other end belongs to, by Call-ID and both tags.

        Where the other end never gave a tag, whatever it says now is its own.
        """
        call_id, local, _ = key = key_of(event)
        return self._dialogs.get(key) or self._dialogs.get((call_id, local, ""))

    @asynccontextmanager
    async def place(self, outgoing: Outgoing, *, answer_seconds: float = 15.0) -> AsyncIterator[Call]:
        """Send the INVITE and hold the call; on entry a 2xx is here that is not acknowledged yet.

        The owner looks at `call.event.body`, prepares for media, and calls `call.ack()`. Leaving ends the
        call with BYE, after an ACK if there was none.

        Raises:
            Declined: the final answer is not 2xx.
            TransactionTimeout: no final answer within `answer_seconds`; CANCEL is sent.
            TransportFailed: the INVITE could not leave, or these calls are being ended.
        """
        if self._closing:
            raise TransportFailed("all calls are being ended")
        placing = Placing(self, outgoing)
        try:
            try:
                async with asyncio.timeout(answer_seconds):
                    call = await placing.answer
            except TimeoutError:
                raise TransactionTimeout(f"no final answer in {answer_seconds:g} s") from None
            yield call
        finally:
            placing.leave()

    # What calls tell their keeper

    def began(self, placing: Placing) -> None:
        self._placing.add(placing)

    def over(self, placing: Placing) -> None:
        self._placing.discard(placing)
        self._left()

    def confirmed(self, call: Call, transaction: int = 0) -> None:
        """A dialog exists; `transaction` is that of the INVITE we accepted."""
        self._dialogs[call.dialog.key] = call
        if transaction:
            self._accepted[transaction] = call
        if self._closing:
            call.leave()

    def acknowledged(self, transaction: int) -> None:
        self._accepted.pop(transaction, None)

    def gone(self, call: Call) -> None:
        if self._dialogs.get(call.dialog.key) is call:
            del self._dialogs[call.dialog.key]
        if call.invite_key is not None:
            self._open.discard(call.invite_key)
        self._left()

    def answered(self, incoming: Incoming) -> None:
        self._incoming.pop(incoming.event.transaction, None)
        if not incoming.accepted:
            self._open.discard(incoming.key)
        self._left()

    def _left(self) -> None:
        if not self.active:
            self._idle.set()

    # Deciders

    def _on_invites(self, run: list[Event]) -> Sequence[Reply]:
        replies: list[Reply] = []
        for event in run:
            status = self._refusal(event)
            if status is not None:
                replies.append((event.transaction, status))
                continue
            incoming = Incoming(self, event, self._loop)
            self._incoming[event.transaction] = incoming
            self._open.add(incoming.key)
            self.endpoint.reply([(event.transaction, 100)])
            incoming.refuse_after(self._unanswered_seconds)
            try:
                self.on_invite(incoming)
            except Exception:
                log.exception("sip.invite_failed", extra={"call": event.call_id})
                incoming.refuse(500)
        return replies

    def _refusal(self, event: Event) -> int | None:
        """The status of an INVITE that can't begin a call, None for one that can."""
        if event.to_tag:  # within a dialog: nothing of a call of ours is ever changed by re-INVITE
            call = self.find(event)
            if call is None:
                return 481
            return 488 if call.dialog.in_order(event) else 500
        if self._closing:
            return 503
        # the same INVITE by another way (8.2.2.2), or sent anew under another branch
        return 482 if (event.call_id, event.from_tag, event.cseq) in self._open else None

    def _on_acks(self, run: list[Event]) -> Sequence[Reply]:
        for event in run:
            call = self._accepted.get(event.transaction) or self.find(event)
            if call is not None:
                call.on_ack(event)
        return []

    def _on_byes(self, run: list[Event]) -> Sequence[Reply]:
        return [(event.transaction, self._bye(event)) for event in run]

    def _bye(self, event: Event) -> int:
        call = self.find(event)
        if call is not None:
            if not call.dialog.in_order(event):
                return 500
            call.on_bye(event)
            return 200
        for incoming in list(self._incoming.values()):
            if incoming.is_ended_by(event):
                incoming.cancel()
                return 200
        return self._unknown_bye

    def _on_cancels(self, run: list[Event]) -> Sequence[Reply]:
        for event in run:
            if (incoming := self._incoming.get(event.transaction)) is not None:
                incoming.cancel()
        return []

    def _on_unacknowledged(self, run: list[Event]) -> Sequence[Reply]:
        for event in run:
            if (call := self._accepted.get(event.transaction)) is not None:
                call.on_no_ack()
        return []


def _refuse(incoming: Incoming) -> None:
    incoming.refuse(480)
