"""One request, awaited."""

import asyncio

from sip.endpoint import Endpoint
from sip.errors import TransactionTimeout, TransportFailed
from sip.events import Event, Kind
from sip.request import Outgoing


async def ask(endpoint: Endpoint, outgoing: Outgoing) -> Event:
    """Send it and return the final response, whatever its status. Not for INVITE: that is `Calls.place`.

    Cancelled, the answer is heard by nobody; the transaction ends in the engine.

    Raises:
        TransactionTimeout: no final response within timer F (32 s).
        TransportFailed: the datagram could not leave.
    """
    answer: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

    def then(event: Event) -> None:
        if answer.done() or (event.kind == Kind.RESPONSE and event.status < 200):
            return
        if event.kind == Kind.RESPONSE:
            answer.set_result(event)
        else:
            answer.set_exception(failure(outgoing.method, event))

    client = endpoint.send(outgoing, then)
    try:
        return await answer
    finally:
        endpoint.forget(client)


def failure(method: str, event: Event) -> TransactionTimeout | TransportFailed:
    """What a TIMEOUT or UNDELIVERED means to whoever waits for the answer."""
    if event.kind == Kind.TIMEOUT:
        return TransactionTimeout(f"no answer to {method}")
    return TransportFailed(f"{method}: {event.reason}")
