"""The parts of a call: our attempt (`Placing`), theirs (`Incoming`), and the dialog (`Call`).

Each is driven by events and by its owner's leaving, never by a task of its own, so there is nothing
that a cancellation could interrupt. `Keeper` (which is `sip.aio.calls.Calls`) knows which are not over.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from sip.aio.ask import failure
from sip.dialog import Dialog, DialogState, Reachable, record_route
from sip.endpoint import Endpoint
from sip.errors import Declined, InviteOver, SipError, TransportFailed, UsageError
from sip.events import Event, Headers, Kind
from sip.request import Outgoing

log = logging.getLogger(__name__)

T = TypeVar("T")

GIVE_UP_SECONDS: Final = 70.0
"""How long a cancelled INVITE may stay unanswered: twice 64*T1 (RFC 3261 9.1), where 100 came late."""

InviteKey = tuple[str, str, int]
"""Call-ID, From tag and CSeq of an INVITE: the same in every copy of it."""


class Memo(Protocol):
    """Keeps, beyond this process, what is needed to end one call; its owner provides it.

    What is kept last stands. `drop` is called once, when the call is over at both ends.
    """

    def keep(self, dialog: DialogState) -> None: ...

    async def kept(self) -> None:
        """Return once what was kept survives a sudden death, or after a moment if that takes long."""
        ...

    def drop(self) -> None: ...


class NoMemo:
    """Keeps nothing."""

    def keep(self, dialog: DialogState) -> None:
        pass

    async def kept(self) -> None:
        pass

    def drop(self) -> None:
        pass


NO_MEMO: Final = NoMemo()


class Keeper(Protocol):
    """What a call tells whoever counts calls."""

    endpoint: Endpoint
    reachable: Reachable | None

    def began(self, placing: "Placing") -> None: ...
    def over(self, placing: "Placing") -> None: ...
    def confirmed(self, call: "Call", transaction: int = 0) -> None: ...
    def acknowledged(self, transaction: int) -> None: ...
    def gone(self, call: "Call") -> None: ...
    def answered(self, incoming: "Incoming") -> None: ...
    def parted(self, farewell: "Farewell") -> None: ...


class Call:
    """A confirmed dialog, held by one owner.

    `event` is the INVITE of a call we accepted, the 2xx of one we placed.
    `ended` gets its reason when it is over but for its owner: "bye", "no ACK", or "left" after we ended it.
    `acknowledged` is done when the ACK has passed (ours or theirs); it raises `InviteOver` if the call was
    over before. `ended_by` is their BYE. `reason` is the value of Reason in our BYE (`sip.headers.reason`).
    """

    def __init__(
        self,
        keeper: Keeper,
        dialog: Dialog,
        event: Event,
        *,
        accepted: int = 0,
        placed: int = 0,
        cseq: int = 0,
        invite_key: InviteKey | None = None,
        memo: Memo = NO_MEMO,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.dialog = dialog
        self.event = event
        self.ended: asyncio.Future[str] = loop.create_future()
        self.acknowledged: asyncio.Future[None] = loop.create_future()
        self.ended_by: Event | None = None
        self.reason: str | None = None
        self.invite_key = invite_key
        self._memo = memo
        self._keeper = keeper
        self._accepted = accepted  # transaction of their INVITE
        self._placed = placed  # transaction of ours
        self._invite_cseq = cseq
        self._acked = False
        self._bye = 0
        self._left = False
        self._over = False

    @property
    def ending(self) -> bool:
        """Our BYE is on its way, or waits for their ACK."""
        return self._left and not self._over

    def ack(self, body: bytes = b"", content_type: str | None = None) -> None:
        """Acknowledge the 2xx of a call we placed; once, later calls do nothing."""
        if self._acked or not self._placed or self._over:
            return
        self._acked = True
        self._keeper.endpoint.send(
            self.dialog.ack(self._placed, self._invite_cseq, body=body, content_type=content_type)
        )
        _settle(self.acknowledged, None)

    def leave(self) -> None:
        """The owner is gone: end the call, now or as soon as RFC 3261 section 15 allows it.

        A call we accepted may get no BYE before its ACK has come, or will not come any more.
        """
        if self._left:
            return
        self._left = True
        if self._over:
            return
        _settle(self.ended, "left")
        if self._placed or self._acked:
            self._end()

    def on_ack(self, event: Event) -> None:
        if self._acked or self._over or not self._accepted:
            return
        self._acked = True
        self._keeper.acknowledged(self._accepted)
        _settle(self.acknowledged, None)
        if self._left:
            self._end()

    def on_no_ack(self) -> None:
        if self._acked or self._over:
            return
        _settle(self.ended, "no ACK")
        self._end()

    def on_bye(self, event: Event) -> None:
        self.ended_by = event
        _settle(self.ended, "bye")
        self._gone()

    def _end(self) -> None:
        if self._over:
            return
        try:
            self.ack()
            self._bye = self._keeper.endpoint.send(_bye(self.dialog, self.reason), self._on_bye_answer)
        except (SipError, ValueError):  # what can't be written can't be ended; it must still be forgotten
            log.exception("sip.bye_failed", extra={"call": self.dialog.call_id})
            self._gone()

    def _on_bye_answer(self, event: Event) -> None:
        if event.kind != Kind.RESPONSE or event.status >= 200:
            self._gone()

    def _gone(self) -> None:
        self._over = True
        self._keeper.endpoint.forget(self._bye)  # where theirs has crossed ours
        self._keeper.acknowledged(self._accepted)
        if not self.acknowledged.done():
            self.acknowledged.set_exception(InviteOver("over before its ACK"))
            self.acknowledged.exception()  # whoever does not ask need not hear of it
        self._memo.drop()
        self._keeper.gone(self)


class Farewell:
    """A dialog of an earlier process: all that is left to do is our BYE, which its transaction repeats.

    `unknown` is called in the place of forgetting it where the other end knows of no such dialog.
    """

    def __init__(
        self,
        keeper: Keeper,
        dialog: Dialog,
        memo: Memo,
        reason: str | None,
        unknown: Callable[[], None] | None = None,
    ) -> None:
        self.dialog = dialog
        self.over = False
        self._keeper = keeper
        self._forget = memo.drop
        self._unknown = unknown
        self._client = 0
        try:
            self._client = keeper.endpoint.send(_bye(dialog, reason), self._on_answer)
        except (SipError, ValueError):  # what can't be written can't be ended
            log.exception("sip.bye_failed", extra={"call": dialog.call_id})
            self._part()

    def on_bye(self, event: Event) -> None:
        """Theirs has crossed ours."""
        self._part()

    def _on_answer(self, event: Event) -> None:
        if event.kind == Kind.RESPONSE and event.status < 200:
            return
        if event.kind == Kind.RESPONSE and event.status == 481 and self._unknown is not None:
            self._forget = self._unknown
        self._part()

    def _part(self) -> None:
        self.over = True
        self._keeper.endpoint.forget(self._client)
        self._forget()
        self._keeper.parted(self)


class Placing:
    """Our INVITE until its final answer. `answer` is the call, not acknowledged yet, or raises."""

    def __init__(self, keeper: Keeper, outgoing: Outgoing, memo: Memo = NO_MEMO) -> None:
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Call] = self._loop.create_future()
        self._keeper = keeper
        self._outgoing = outgoing
        self._memo = memo
        self._call: Call | None = None
        self._left = False
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._client = keeper.endpoint.send(outgoing, self._hear)
        keeper.began(self)

    @property
    def half(self) -> tuple[str, str]:
        """Call-ID and our tag: of the dialog to be, what we know."""
        return self._outgoing.call_id, self._outgoing.from_tag

    def leave(self) -> None:
        """The owner is gone: end what there is, or cancel and end what may still come."""
        if self._left:
            return
        self._left = True
        if not self.answer.done():
            self.answer.set_exception(TransportFailed("the call is being ended"))
        if not self.answer.cancelled():
            self.answer.exception()  # whoever left need not hear of it
        if self._call is not None:
            self._call.leave()
        elif not self._over:
            self._keeper.endpoint.cancel(self._client)
            self._timer = self._loop.call_later(GIVE_UP_SECONDS, self._give_up)

    def _hear(self, event: Event) -> None:
        if event.kind == Kind.RESPONSE and event.status < 200:
            return
        try:
            if event.kind == Kind.RESPONSE and event.status < 300:
                self._confirm(event)
            elif not self.answer.done():
                self.answer.set_exception(self._failure(event))
        finally:
            self._finish()

    def _confirm(self, event: Event) -> None:
        keeper = self._keeper
        dialog = Dialog.placed(
            self._outgoing, event, keeper.endpoint.contact_for(event.source), reachable=keeper.reachable
        )
        self._memo.keep(dialog.state)
        call = Call(keeper, dialog, event, placed=self._client, cseq=self._outgoing.cseq, memo=self._memo)
        self._call = call
        keeper.confirmed(call)
        if self.answer.done():
            call.leave()
        else:
            self.answer.set_result(call)

    def _failure(self, event: Event) -> SipError:
        if event.kind == Kind.RESPONSE:
            return Declined(event.status, event.reason, event.header("Warning"))
        return failure("INVITE", event)

    def _give_up(self) -> None:
        self._keeper.endpoint.forget(self._client)
        self._finish()

    def _finish(self) -> None:
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._call is None:
            self._memo.drop()
        self._keeper.over(self)


class Incoming:
    """Their INVITE, until somebody accepts or refuses it, or they cancel it; 100 is sent already.

    `cancelled` is done when they take it back (CANCEL, or BYE before our answer); 487 is sent then, and
    `refuse` does nothing any more. One that is never answered is refused after a while. Whoever takes its
    time to answer lets it be remembered, so that it has its answer even if this process dies over it.
    """

    def __init__(self, keeper: Keeper, event: Event, loop: asyncio.AbstractEventLoop) -> None:
        self.event = event
        self.cancelled: asyncio.Future[None] = loop.create_future()
        self.key: InviteKey = event.call_id, event.from_tag, event.cseq
        self._keeper = keeper
        self._loop = loop
        self.accepted = False
        self._memo: Memo = NO_MEMO
        self._over = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def over(self) -> bool:
        """Answered or cancelled."""
        return self._over

    def remember(self, memo: Memo) -> None:
        """Let `memo` keep what a later process needs to refuse it (`Calls.end`), until it has its answer.

        What `accept` keeps takes that place: both have the same Call-ID and tag.
        """
        if not self._over:
            self._memo = memo
            memo.keep(DialogState.of_waiting(self.event))

    def ring(self, headers: Headers = ()) -> None:
        """Send 180."""
        if not self._over:
            self._keeper.endpoint.reply([(self.event.transaction, 180, self._dialog_headers(headers))])

    def refuse(self, status: int, headers: Headers = ()) -> None:
        """Answer 300 to 699; nothing happens if it is answered or cancelled already."""
        if self._over:
            return
        if not 300 <= status < 700:
            raise UsageError(f"{status} refuses nothing")
        self._keeper.endpoint.reply([(self.event.transaction, status, headers)])
        self._finish()

    @asynccontextmanager
    async def accept(
        self,
        body: bytes,
        content_type: str = "application/sdp",
        *,
        headers: Headers = (),
        memo: Memo = NO_MEMO,
    ) -> AsyncIterator[Call]:
        """Send 200 and hold the call; leaving ends it with BYE unless it ended before.

        `memo` has kept the dialog before the 200 leaves.

        Raises:
            InviteOver: it was cancelled, refused or accepted before.
        """
        keeper = self._keeper
        dialog = Dialog.accepted(
            self.event, keeper.endpoint.contact_for(self.event.source), reachable=keeper.reachable
        )
        memo.keep(replace(dialog.state, request=self.event.outline))
        try:
            await memo.kept()
            call = self._answer(dialog, body, content_type, headers, memo)
        except BaseException:
            memo.drop()
            raise
        try:
            yield call
        finally:
            call.leave()

    def _answer(self, dialog: Dialog, body: bytes, content_type: str, headers: Headers, memo: Memo) -> Call:
        if self._over:
            raise InviteOver("the INVITE is cancelled or answered")
        keeper, event = self._keeper, self.event
        all_headers = [*self._dialog_headers(headers), ("Allow", keeper.endpoint.allow)]
        if body:
            all_headers.append(("Content-Type", content_type))
        keeper.endpoint.reply([(event.transaction, 200, all_headers, body)])
        call = Call(keeper, dialog, event, accepted=event.transaction, invite_key=self.key, memo=memo)
        self.accepted = True
        keeper.confirmed(call, event.transaction)
        self._finish()
        return call

    def _dialog_headers(self, headers: Headers) -> list[tuple[str, str]]:
        """What an answer that makes a dialog must carry (RFC 3261 12.1.1)."""
        routes = [("Record-Route", value) for value in record_route(self.event)]
        return [*routes, ("Contact", self._keeper.endpoint.contact_for(self.event.source)), *headers]

    # What their side does

    def is_ended_by(self, bye: Event) -> bool:
        event = self.event
        return (bye.call_id, bye.from_tag) == (event.call_id, event.from_tag) and bye.to_tag in {
            "",
            event.local_tag,
        }

    def cancel(self) -> None:
        if self._over:
            return
        self._keeper.endpoint.reply([(self.event.transaction, 487)])
        _settle(self.cancelled, None)
        self._finish()

    def refuse_after(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        log.warning("sip.invite_unanswered", extra={"call": self.event.call_id})
        self.refuse(480)

    def _finish(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if not self.accepted:
            self._memo.drop()
        self._keeper.answered(self)


def _settle(future: asyncio.Future[T], value: T) -> None:
    """Set it unless it is set, or whoever awaited it was cancelled with it."""
    if not future.done():
        future.set_result(value)


def _bye(dialog: Dialog, reason: str | None) -> Outgoing:
    headers: Headers = (("Reason", _one_line(reason)),) if reason else ()
    return dialog.request("BYE", headers=headers)


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
