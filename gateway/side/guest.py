"""An incoming INVITE as a session sees it: somebody to bring a stream to, or to refuse."""

import asyncio
from typing import Final

from cascade.accepting import Acceptor, Wish
from cascade.crossing import Failure, StreamOffered
from cascade.status import FAILURE_STATUS
from gateway.session.leg import Dial
from sip.aio.calls import Incoming

SAID: Final[dict[Failure, list[tuple[str, str]]]] = {
    "offline": [("Warning", '399 lockgate "it is offline, or its platform is"')],
    "busy": [("Warning", '399 lockgate "it takes no more viewers now"')],
    "unacceptable": [("Warning", '399 lockgate "it does not send what was asked for"')],
    "timeout": [("Warning", '399 lockgate "it did not answer in time"')],
    "no-media": [("Warning", '399 lockgate "it agreed and sent no media"')],
    "unavailable": [("Warning", '399 lockgate "nothing can be asked beyond now"'), ("Retry-After", "10")],
}
"""What a refused peer may read of the failure (Q110): words of ours for its kind. What a peer of the other
side wrote is for our own operator; none of it passes the lock."""


class IncomingGuest:
    """Binds one `Incoming` to what knows how to answer it."""

    def __init__(self, incoming: Incoming, wish: Wish, acceptor: Acceptor) -> None:
        self._incoming = incoming
        self._wish = wish
        self._acceptor = acceptor

    @property
    def cancelled(self) -> asyncio.Future[None]:
        return self._incoming.cancelled

    def refuse(self, failure: Failure, reason: str) -> None:
        self._incoming.refuse(FAILURE_STATUS[failure], SAID.get(failure, ()))

    def dial(self, offered: StreamOffered) -> Dial:
        return lambda port, expect: self._acceptor.accept(
            self._incoming, self._wish, port=port, offered=offered
        )
