"""How a session gets its dialog: placed (we invite) or accepted (we are invited)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal

from msgspec import Struct

from cascade.crossing import Failure
from cascade.ports import Agreed, Leg

Dial = Callable[[int, Callable[[Agreed], None]], AbstractAsyncContextManager[Leg]]
"""Makes a leg that uses our local port and calls back with what was agreed, before media may start.

Which of the two it is says nothing about the direction of media: a broadcast is accepted below and
placed above. In split form the leg to the other host is a `Dial` too.
"""


class Ending(Struct, frozen=True):
    """Why a session is over; `failure` is None for an ordinary end."""

    failure: Failure | None
    reason: str
    by: Literal["peer", "lock", "us"] = "us"


async def first(*waits: Awaitable[Ending]) -> Ending:
    """Return the result of whichever is done first; the others are cancelled and waited for.

    A future that others hold too must come shielded.
    """
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def hung_up(leg: Leg) -> Ending:
    """Wait for the other end of `leg` to be over."""
    return Ending(None, await leg.ended(), by="peer")
