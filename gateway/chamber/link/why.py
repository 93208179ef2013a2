"""Why a connection between the two hosts is over: a kind to count, and a sentence with what to do."""

from typing import Final, Literal

from msgspec import Struct

from certs.trust import Distrust
from gateway.words import Saying, saying

Kind = Literal[
    "closed",  # by the other end, which said why
    "stopping",  # by us, on purpose
    "replaced",  # another connection was chosen
    "lost",
    "unreachable",
    "silent",
    "slow",
    "truncated",
    "frame",
    "crossing",
    "tls",
    "theirs",  # we do not believe their certificate
    "ours",  # they do not believe ours
    "files",
    "stranger",
    "crowd",
]


class Why(Struct, frozen=True):
    kind: Kind
    said: Saying
    distrust: Distrust | None = None

    @property
    def counted(self) -> str:
        """The name of its counter."""
        return self.kind if self.distrust is None else f"{self.kind}-{self.distrust}"

    @property
    def remedy(self) -> Saying:
        return _REMEDIES[self.kind]


def told(body: bytes) -> Why | None:
    """What the body of CLOSING says: the other end's `counted`. None for anything else."""
    code = body.decode("ascii", "replace")
    if code in _TOLD:
        return Why("closed", saying("link.closed", why=_TOLD[code]))
    return next((distrusted(each, ours=True) for each in DISTRUST if code == f"theirs-{each}"), None)


def distrusted(distrust: Distrust, *, ours: bool) -> Why:
    if ours:
        return Why("ours", saying("link.ours", why=DISTRUST[distrust]), distrust)
    return Why("theirs", saying("link.theirs", why=DISTRUST[distrust]), distrust)


DISTRUST: Final[dict[Distrust, Saying]] = {
    "none": saying("link.distrust_none"),
    "unknown": saying("link.distrust_unknown"),
    "expired": saying("link.distrust_expired"),
    "early": saying("link.distrust_early"),
    "revoked": saying("link.distrust_revoked"),
    "wrong-side": saying("link.distrust_side"),
    "wrong-id": saying("link.distrust_id"),
    "unreadable": saying("link.distrust_unreadable"),
}

_TOLD: Final = {
    "stopping": saying("link.told_stopping"),
    "replaced": saying("link.replaced"),
    "silent": saying("link.told_silent"),
    "slow": saying("link.told_silent"),
    "frame": saying("link.told_frame"),
    "crossing": saying("link.told_frame"),
    **{f"ours-{each}": said for each, said in DISTRUST.items()},
}
"""What the other end may say when it closes; a closed list, so that nothing else is carried by it."""

_WAIT: Final = saying("link.remedy_wait")
_NETWORK: Final = saying("link.remedy_network")
_PROGRAM: Final = saying("link.remedy_program")
_CERTIFICATE: Final = saying("link.remedy_certificate")

_REMEDIES: Final[dict[Kind, Saying]] = {
    "closed": _WAIT,
    "stopping": _WAIT,
    "replaced": _WAIT,
    "lost": _NETWORK,
    "unreachable": _NETWORK,
    "silent": _NETWORK,
    "slow": _NETWORK,
    "truncated": _NETWORK,
    "frame": _PROGRAM,
    "crossing": _PROGRAM,
    "tls": _PROGRAM,
    "theirs": _CERTIFICATE,
    "ours": _CERTIFICATE,
    "files": saying("link.remedy_files"),
    "stranger": saying("link.remedy_stranger"),
    "crowd": saying("link.remedy_stranger"),
}
