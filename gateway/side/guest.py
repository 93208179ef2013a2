"""An incoming INVITE as a session sees it: somebody to show a stream to, or to refuse."""

import asyncio

from cascade.as_lower.face import AsLower
from cascade.as_lower.invite import Wish
from cascade.crossing import Failure, StreamOffered
from cascade.status import FAILURE_STATUS
from gateway.session.leg import Dial
from sip.aio.calls import Incoming


class IncomingGuest:
    """Binds one `Incoming` to the face that knows how to answer it."""

    def __init__(self, incoming: Incoming, wish: Wish, as_lower: AsLower) -> None:
        self._incoming = incoming
        self._wish = wish
        self._as_lower = as_lower

    @property
    def cancelled(self) -> asyncio.Future[None]:
        return self._incoming.cancelled

    def refuse(self, failure: Failure, reason: str) -> None:
        self._incoming.refuse(FAILURE_STATUS[failure])

    def dial(self, offered: StreamOffered) -> Dial:
        return lambda port, expect: self._as_lower.accept(
            self._incoming, self._wish, port=port, offered=offered
        )
