"""The memory link, but each crossing is written, read back and compared: for tests and the careful.

Whatever passes here also passes a link between two hosts.
"""

import asyncio

from cascade.crossing import Crossing
from gateway.chamber.codec import CodecError, decode, encode
from gateway.chamber.link import LinkUnavailable
from gateway.chamber.link.memory import MemoryEnd


class EncodedEnd(MemoryEnd):
    """Delivers the copy that was read back, so that nobody shares an object across the lock."""

    def deliver(self, crossing: Crossing) -> None:
        try:
            copy = decode(encode(crossing))
        except CodecError as error:
            raise LinkUnavailable(str(error)) from error
        if copy != crossing:
            raise LinkUnavailable(f"{type(crossing).__name__} is not what was written once it is read back")
        super().deliver(copy)


def encoded_link(loop: asyncio.AbstractEventLoop) -> tuple[EncodedEnd, EncodedEnd]:
    """Two ends joined with each other."""
    one, two = EncodedEnd(loop), EncodedEnd(loop)
    one._other, two._other = two, one
    return one, two
