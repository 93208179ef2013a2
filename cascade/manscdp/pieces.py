"""A long list of items as several short ones, so that reading it keeps nobody waiting for long.

A catalog may have 16 MiB. Cut between its items, with its own beginning before each part and its end behind,
it reads as the pages of a peer that sends less at a time. Bytes are cut where an ASCII `<` stands, which in
GB18030 and UTF-8 is never part of another character.
"""

import re
from collections.abc import Iterator
from typing import Final

from cascade.errors import BadCommand

PIECE_BYTES: Final = 128 * 1024
"""Of the items in one piece; the last may have as much again."""

HEAD_BYTES: Final = 16 * 1024
"""What may stand before the first item."""

_ROOT: Final = re.compile(rb"<([A-Za-z][A-Za-z0-9]{0,63})[\s>]")
_LIST: Final = re.compile(rb"<(DeviceList|RecordList)[\s>]", re.IGNORECASE)
_ITEM: Final = re.compile(rb"<(Item)[\s/>]", re.IGNORECASE)


def pieces(body: bytes, size: int = PIECE_BYTES) -> Iterator[bytes]:
    """The body itself where it is short; else its parts, each with some `size` bytes of items.

    Raises:
        BadCommand: it is long and no list of items, or one that cannot be told where it can be cut.
    """
    if len(body) <= 2 * size:
        yield body
        return
    root, listed, item = (found.search(body, 0, HEAD_BYTES) for found in (_ROOT, _LIST, _ITEM))
    if root is None or listed is None or item is None or item.start() < listed.start():
        raise BadCommand("so long, and no list of items")
    head, closing = body[: item.start()], b"</" + item[1]
    tail = b"</" + listed[1] + b"></" + root[1] + b">"
    at = item.start()
    while len(body) - at > 2 * size:
        end = body.find(closing, at + size, at + 2 * size)
        end = body.find(b">", end, end + HEAD_BYTES) + 1 if end >= 0 else 0
        if end <= 0:
            raise BadCommand("items that do not end where others do")
        yield head + body[at:end] + tail
        at = end
    yield head + body[at:]
