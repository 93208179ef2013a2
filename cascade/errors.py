"""What peers and streams can do wrong above SIP.

PeerError (sip.errors)
    BadCommand        a MANSCDP body that does not say what its kind has to say
    Unacceptable      a session description we can't or won't serve
StreamFailed          a leg that was wished for did not come about
"""

from cascade.crossing import Failure
from sip.errors import PeerError


class BadCommand(PeerError):
    """The body is no readable command of the kind it claims to be."""


class Unacceptable(PeerError):
    """The media that a description asks for or promises is none we can use."""

    status = 488


class StreamFailed(Exception):
    """No leg. `failure` says of what kind, `reason` in plain words, for people."""

    def __init__(self, failure: Failure, reason: str) -> None:
        super().__init__(f"{failure}: {reason}")
        self.failure = failure
        self.reason = reason
