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
from dataclasses import dataclass
from typing import Final

from sip.aio.ask import ask
from sip.aio.call import GIVE_UP_SECONDS, NO_MEMO, Call, Farewell, Incoming, InviteKey, Memo, Placing
from sip.dialog import Dialog, DialogState, Key, Reachable, key_of
from sip.endpoint import Endpoint
from sip.errors import TransactionTimeout, TransportFailed
from sip.events import Address, Event, Headers, Kind, Reply
from sip.request import Outgoing

__all__ = ["Call", "Calls", "Incoming", "Memo", "ask"]

log = logging.getLogger(__name__)

LEAVING_SECONDS: Final = 110.0
"""What an exit may take at most: a CANCEL is answered or forgotten in 70 s, a BYE in another 32."""


REFUSED_SECONDS: Final = 32.0
"""How long a refusal is repeated until its ACK (timer H, 64*T1); by then its sender has given up too."""


MAX_FORKS: Final = 8
"""Others who accept one INVITE of ours, and are hung up on at once; more are left to give up."""


@dataclass(slots=True)
class _Unanswered:
    """An INVITE of an earlier process: should its 2xx still come, it is acknowledged and ended."""

    state: DialogState
    memo: Memo
    reason: str | None
    timer: asyncio.TimerHandle
    farewell: Farewell | None = None


class Calls:
    """All INVITE dialogs of one endpoint. Takes INVITE, ACK, BYE, CANCEL and UNACKNOWLEDGED for itself.

    `reachable` says of a host in a Contact or Record-Route whether to send there; without it only the
    address the peer really sends from counts. `unknown_bye` answers a BYE of no dialog of ours: RFC 3261
    wants 481, some cameras repeat it until they see 200. `unwelcome` gives the status for an INVITE of a
    stranger: it costs us one datagram and no call, not even 100. An INVITE that `on_invite` leaves unanswered
    for `unanswered_seconds` is refused with 480; the engine forgets it after 180. After `leaving_seconds`
    an end gives up on who does not answer, and says so.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        reachable: Reachable | None = None,
        unknown_bye: int = 481,
        unanswered_seconds: float = 170.0,
        leaving_seconds: float = LEAVING_SECONDS,
    ) -> None:
        self.endpoint = endpoint
        self.reachable = reachable
        self.on_invite: Callable[[Incoming], None] = _refuse
        self.unwelcome: Callable[[Event], int | None] = _welcome
        self._unknown_bye = unknown_bye
        self._unanswered_seconds = unanswered_seconds
        self._leaving_seconds = leaving_seconds
        self._leave_until = 0.0
        self._parting: str | None = None  # Reason of calls that `close` ends
        self._loop = asyncio.get_running_loop()
        self._placing: set[Placing] = set()
        self._incoming: dict[int, Incoming] = {}  # by the INVITE's transaction
        self._accepted: dict[int, Call] = {}  # by the INVITE's transaction, until it is acknowledged
        self._dialogs: dict[Key, Call] = {}
        self._farewells: dict[Key, Farewell] = {}
        self._unanswered: dict[tuple[str, str], _Unanswered] = {}  # by Call-ID and our tag
        self._refusing: dict[int, asyncio.TimerHandle] = {}  # theirs of an earlier process, by transaction
        self._open: set[InviteKey] = set()  # of incoming ones and of the calls they became
        self._fewer = asyncio.Event()  # set whenever something is over
        self._closing = False
        endpoint.handle(Kind.INVITE, self._on_invites)
        endpoint.handle(Kind.ACK, self._on_acks)
        endpoint.handle(Kind.BYE, self._on_byes)
        endpoint.handle(Kind.CANCEL, self._on_cancels)
        endpoint.handle(Kind.UNACKNOWLEDGED, self._on_unacknowledged)
        endpoint.on_stray = self._on_stray

    @property
    def active(self) -> int:
        """Calls and attempts that are not over at both ends, those being finished included."""
        return len(self._placing) + len(self._incoming) + len(self._dialogs) + len(self._farewells)

    async def __aenter__(self) -> "Calls":
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything; return when nothing is left, or `leaving_seconds` after the end began."""
        self.close()
        try:
            async with asyncio.timeout_at(self._leave_until):
                while self.active:
                    await self._something_over()
        except TimeoutError:
            log.error("calls.left_behind", extra={"active": self.active, "seconds": self._leaving_seconds})

    def close(self, reason: str | None = None) -> None:
        """Begin the end, at once and once: refuse with 503, cancel, BYE. New INVITEs get 503 from now on.

        `reason` goes into the BYE of each call whose owner gave it none.
        """
        if self._closing:
            return
        self._closing = True
        self._parting = reason
        self._leave_until = self._loop.time() + self._leaving_seconds
        for placing in list(self._placing):
            placing.leave()
        for incoming in list(self._incoming.values()):
            incoming.refuse(503)
        for call in list(self._dialogs.values()):
            self._part(call)
        for unanswered in self._unanswered.values():
            unanswered.timer.cancel()
        for timer in self._refusing.values():
            timer.cancel()

    def find(self, event: Event) -> Call | None:
        """The call that a request of the other end belongs to, by Call-ID and both tags.

        Where the other end never gave a tag, whatever it says now is its own.
        """
        call_id, local, _ = key = key_of(event)
        return self._dialogs.get(key) or self._dialogs.get((call_id, local, ""))

    @asynccontextmanager
    async def place(
        self, outgoing: Outgoing, *, answer_seconds: float = 15.0, memo: Memo = NO_MEMO
    ) -> AsyncIterator[Call]:
        """Send the INVITE and hold the call; on entry a 2xx is here that is not acknowledged yet.

        The owner looks at `call.event.body`, prepares for media, and calls `call.ack()`. Leaving ends the
        call with BYE, after an ACK if there was none. `memo` has kept the INVITE before it leaves, and the
        dialog before the ACK can leave.

        Raises:
            Declined: the final answer is not 2xx.
            TransactionTimeout: no final answer within `answer_seconds`; CANCEL is sent.
            TransportFailed: the INVITE could not leave, or these calls are being ended.
        """
        placing = await self._invite(outgoing, memo)
        try:
            try:
                async with asyncio.timeout(answer_seconds):
                    call = await placing.answer
            except TimeoutError:
                raise TransactionTimeout(f"no final answer in {answer_seconds:g} s") from None
            await memo.kept()
            yield call
        finally:
            placing.leave()

    async def _invite(self, outgoing: Outgoing, memo: Memo) -> Placing:
        memo.keep(DialogState.of_invite(outgoing))
        try:
            await memo.kept()
            if self._closing:
                raise TransportFailed("all calls are being ended")
            return Placing(self, outgoing, memo)
        except BaseException:
            memo.drop()
            raise

    def end(
        self, state: DialogState, memo: Memo, *, reason: str | None = None, refusal: Headers = ()
    ) -> None:
        """End a dialog of an earlier process, of which `memo` keeps `state`, by one BYE transaction.

        An INVITE of ours that had no answer then is remembered for a while: a 2xx that still comes gets
        ACK and BYE (RFC 3261 13.2.2.4), and its sender repeats it until then. One of theirs that we had not
        answered gets its 500 with `refusal`, repeated until its ACK (13.3.1); a CANCEL finds it refused. So
        does one that we had accepted where 481 tells that they never heard of it.
        """

        def refuse() -> None:
            self._refuse_late(state, memo, refusal)

        if state.request and not state.target:
            refuse()
            return
        if not state.early:
            dialog = Dialog.restored(state, self.endpoint.contact_for(state.source), reachable=self.reachable)
            self._bid_farewell(dialog, memo, reason, refuse if state.request else None)
            return
        key = state.call_id, state.local_tag
        timer = self._loop.call_later(GIVE_UP_SECONDS, self._nobody_answered, key)
        self._unanswered[key] = _Unanswered(state, memo, reason, timer)

    def _refuse_late(self, state: DialogState, memo: Memo, headers: Headers) -> None:
        transaction = self.endpoint.adopt(state.request, state.source)
        if (
            transaction is None
        ):  # repeated by now, and being served; or its sender may not speak here any more
            memo.drop()
            return
        self.endpoint.reply([(transaction, 500, headers)])
        self._refusing[transaction] = self._loop.call_later(
            REFUSED_SECONDS, self._refused_late, transaction, memo
        )

    def _refused_late(self, transaction: int, memo: Memo) -> None:
        del self._refusing[transaction]
        memo.drop()

    async def settled(self, address: Address, *, seconds: float) -> bool:
        """Wait until every BYE of ours to `address` is answered; False if none was open, or one stays so.

        For whoever is refused there because the other end still holds the session before.
        """
        if not self._parting_from(address):
            return False
        try:
            async with asyncio.timeout(seconds):
                while self._parting_from(address):
                    await self._something_over()
        except TimeoutError:
            return False
        return True

    def _parting_from(self, address: Address) -> bool:
        ending = [call.dialog for call in self._dialogs.values() if call.ending]
        ending += [farewell.dialog for farewell in self._farewells.values()]
        return any(dialog.destination == address for dialog in ending)

    def _bid_farewell(
        self, dialog: Dialog, memo: Memo, reason: str | None, unknown: Callable[[], None] | None = None
    ) -> Farewell:
        farewell = Farewell(self, dialog, memo, reason, unknown)
        if not farewell.over:
            self._farewells[dialog.key] = farewell
        return farewell

    def _nobody_answered(self, key: tuple[str, str]) -> None:
        unanswered = self._unanswered.pop(key)
        if unanswered.farewell is None:
            unanswered.memo.drop()

    def _on_stray(self, event: Event) -> None:
        if self._closing:
            return
        unanswered = self._unanswered.get((event.call_id, event.from_tag))
        if unanswered is None:
            self._end_fork(event)
            return
        contact = self.endpoint.contact_for(event.source)
        dialog = Dialog.answered_late(unanswered.state, event, contact, reachable=self.reachable)
        self.endpoint.send(dialog.ack(0, event.cseq))
        if unanswered.farewell is None:  # else it repeats its answer: our ACK was lost
            unanswered.memo.keep(dialog.state)
            unanswered.farewell = self._bid_farewell(dialog, unanswered.memo, unanswered.reason)

    def _end_fork(self, event: Event) -> None:
        """Somebody else has accepted our INVITE too: it is acknowledged and hung up on (13.2.2.4)."""
        ours = (event.call_id, event.from_tag)
        call = next((each for key, each in self._dialogs.items() if key[:2] == ours), None)
        if call is None or sum(key[:2] == ours for key in self._farewells) >= MAX_FORKS:
            return
        contact = self.endpoint.contact_for(event.source)
        fork = Dialog.answered_late(call.dialog.state, event, contact, reachable=self.reachable)
        self.endpoint.send(fork.ack(0, event.cseq))
        if fork.key not in self._farewells:  # else it repeats its answer: our ACK was lost
            self._bid_farewell(fork, NO_MEMO, None)

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
            self._part(call)

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

    def parted(self, farewell: Farewell) -> None:
        if self._farewells.get(farewell.dialog.key) is farewell:
            del self._farewells[farewell.dialog.key]
        self._left()

    def _part(self, call: Call) -> None:
        call.reason = call.reason or self._parting
        call.leave()

    def _left(self) -> None:
        self._fewer.set()

    async def _something_over(self) -> None:
        self._fewer.clear()
        await self._fewer.wait()

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
            if call is None:  # 491: it crosses our own INVITE, which has no final answer (14.2)
                return 491 if self._is_placing(event) else 481
            return 488 if call.dialog.in_order(event) else 500
        if self._closing:
            return 503
        # the same INVITE by another way (8.2.2.2), or sent anew under another branch
        if (event.call_id, event.from_tag, event.cseq) in self._open:
            return 482
        return self.unwelcome(event)

    def _is_placing(self, event: Event) -> bool:
        ours = (event.call_id, event.to_tag)
        return any(placing.half == ours for placing in self._placing)

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
        if (farewell := self._farewells.get(key_of(event))) is not None:
            farewell.on_bye(event)
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


def _welcome(_event: Event) -> None:
    return None
