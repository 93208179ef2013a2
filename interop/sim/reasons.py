"""Why something failed, for whoever reads it in his language; exceptions carry it as `said`."""

import errno
import re
from typing import Final

from interop.words import Saying, saying
from sip.errors import SipError, TransactionTimeout, TransportFailed


class Told(Exception):
    """An error that a user reads: `said` is what is said of it, and its text is that in English."""

    def __init__(self, said: Saying) -> None:
        super().__init__(str(said))
        self.said = said


_SYSTEM: Final = {
    errno.EADDRINUSE: saying("system.in_use"),
    errno.EADDRNOTAVAIL: saying("system.not_ours"),
    errno.EACCES: saying("system.forbidden"),
    errno.ENETUNREACH: saying("system.unreachable"),
}


def system(error: OSError) -> Saying:
    """What the operating system says of an address, in words as far as it is common."""
    native = re.search(r"\(os error (\d+)\)", str(error))  # an error of the engine carries no number else
    number = error.errno or (int(native[1]) if native else 0)
    return _SYSTEM.get(number) or saying("why.other", text=error.strerror or str(error))


def answered(status: int, reason: str | Saying) -> Saying:
    """A final answer with its reason phrase, which stays as the peer wrote it; status 0: there was none."""
    if status:
        return saying("why.answered", status=status, reason=reason)
    return reason if isinstance(reason, Saying) else saying("why.other", text=reason)


def unanswered(error: SipError) -> Saying:
    """Why no answer came to a request."""
    if isinstance(error, TransactionTimeout):
        return saying("why.silence")
    if isinstance(error, TransportFailed):
        return saying("why.unsent", text=str(error))
    return saying("why.other", text=str(error))
