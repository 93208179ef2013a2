"""How peers depart from the standard in ways that are put up with: counted, and told once of each.

Quirks of the field cost nobody a picture, but an operator must see who has which: a number for each
peer and kind, and one log line of each.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Literal

from cascade.model.ids import PlatformId

log = logging.getLogger(__name__)

Deviation = Literal[
    "catalog-repaired",  # pages that are not well-formed (Q21-Q23)
    "charset",  # characters that its charset does not have (Q24)
    "items-dropped",  # without a usable id, or beyond repair (Q10, Q19)
    "pages-repeated",  # that bring nothing new (Q16)
    "sum-wrong",  # another number of items than SumNum says (Q19)
    "parents-in-a-loop",  # rows above themselves (Q26)
    "echoes",  # rows that came through us before (Q98)
    "never-registers-again",  # revived by a keepalive (Q05)
    "unreadable",  # business answers and keepalives
    "alarm-incomplete",  # an alarm without what the standard asks for, or with no such values (Q86)
    "notice-outside",  # a NOTIFY in no dialog of ours (Q34)
    "no-y",  # an SDP without y= (Q47)
    "other-y",  # with another than was offered (Q48)
    "zero-y",  # with 0000000000 (Q49)
    "no-contact",  # a 2xx to INVITE without Contact (Q53)
    "contact-elsewhere",  # with one at another host than it answers from (Q53)
    "line-ends",  # an SDP without CRLF (Q52)
    "channel-elsewhere",  # an INVITE whose Request-URI does not name its channel (Q59)
    "another-name",  # an INVITE under another name than its id (Q09)
]


class Deviations:
    """Of the peers of one face. They are configured, so they are few, and so are the kinds."""

    def __init__(self) -> None:
        self._counts: defaultdict[PlatformId, Counter[Deviation]] = defaultdict(Counter)

    def note(self, peer: PlatformId, kind: Deviation, times: int = 1) -> None:
        """It did this again, so many times; 0 is nothing."""
        if times <= 0:
            return
        counts = self._counts[peer]
        if kind not in counts:
            log.warning("peer.deviates", extra={"peer": peer, "deviation": kind})
        counts[kind] += times

    def of(self, peer: PlatformId) -> Mapping[Deviation, int]:
        return dict(self._counts[peer]) if peer in self._counts else {}
