"""What REGISTERs came to that did not register anybody: put off, remembered, and told of in one line.

Nothing of a registration that goes well is kept. Of each id the last tries are, with what its digest was made
of as it stood on the wire: never a password, nor anything that helps to guess one.
"""

import binascii
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from cascade.as_upper.backoff import Backoff
from cascade.as_upper.refusals import Refusals
from cascade.as_upper.registering import Accepted, Decision, Redirected, Refused
from cascade.limits import Bounds, LimitName
from cascade.model.ids import PlatformId
from cascade.peers import LowerPeer
from cascade.sparse import Sparse
from sip.events import Auth, Event, Registration

LAST: Final = 8
"""Tries of one id."""

LONGEST: Final = 128
"""Characters of anything that somebody sent."""

SHOWN: Final = 8
"""Characters of a nonce. Of a response none: with the inputs beside it, passwords could be tried by it."""

NONCE_BYTES: Final = 40
AUDITED_SECONDS: Final = 60.0

PARAMETER: Final = re.compile(r'([A-Za-z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^,\s]*))')

Outcome = Literal[
    "registered",
    "removed",
    "challenged",  # and it did not come back with a digest
    "wrong",
    "stale",  # right, but for the nonce
    "not-as-agreed",  # right, but for another id, or not from there or by that transport
    "bound-elsewhere",
    "too-short",
    "put-off",
    "redirected",  # led elsewhere by 302
    "other",
]

WELL: Final = frozenset({"registered", "removed"})

NONE: Final = int(Auth.NONE)
OUTCOMES: Final[Mapping[int, Outcome]] = {
    Auth.WRONG: "wrong",
    Auth.STALE: "stale",
    Auth.VERIFIED: "not-as-agreed",
}
"""By what the engine found, of those that are challenged."""


class Given(Struct, frozen=True, kw_only=True):
    """What a digest was made of, as it came. `nonce_age` in seconds, None where it is no nonce of ours."""

    scheme: str
    username: str = ""
    realm: str = ""
    uri: str = ""
    algorithm: str = ""
    qop: str = ""
    nc: str = ""
    nonce: str = ""  # its first characters
    nonce_age: float | None = None
    response_length: int = 0


class Attempt(Struct, frozen=True, kw_only=True):
    """One REGISTER; `at` is time of day. `times`: so often in a row it asked for a challenge alone."""

    at: float
    moment: float  # the same on the engine's clock
    source: tuple[str, int]
    transport: str
    outcome: Outcome
    user: str  # of From
    target: str = ""  # the Request-URI
    expires: int | None = None
    certificate: str = ""
    agent: str = ""
    times: int = 1
    given: Given | None = None


class Auditor(Protocol):
    """`cascade.ports.Gate`, as far as it is needed here."""

    def note(self, event: str, peer: PlatformId, **details: str) -> None: ...


class _Memory:
    """Tries by id, bounded in ids, in tries of each, and in how many are read each second.

    Who asks for a challenge has not failed yet, and nearly everybody goes on: of that no more is kept than
    when, from where, by what and how often.
    """

    def __init__(self, bounds: Bounds, most: Literal["tries_of_peers", "tries_of_strangers"]) -> None:
        self._bounds = bounds
        self._most: LimitName = most
        self.asked: dict[str, tuple[float, Event, int]] = {}
        self.tries: OrderedDict[str, deque[Attempt]] = OrderedDict()
        self._second = float("-inf")
        self._read = 0

    def ask(self, user: str, event: Event, wall: float) -> None:
        before = self.asked.pop(user, None)
        self.asked[user] = (wall, event, 1 if before is None else before[2] + 1)
        if len(self.asked) > self._bounds.limits.tries_under_way:
            self._bounds.meet("tries_under_way")
            del self.asked[next(iter(self.asked))]

    def keep(self, user: str, event: Event, outcome: Outcome, wall: float) -> None:
        self.asked.pop(user, None)
        if not self._may_read(event.arrived):
            return
        ring = self.tries.get(user)
        if ring is None:
            ring = self.tries[user] = deque(maxlen=LAST)
            if len(self.tries) > getattr(self._bounds.limits, self._most):
                self._bounds.meet(self._most)
                self.tries.popitem(last=False)
        self.tries.move_to_end(user)
        ring.append(_attempt(event, outcome, wall))

    def went_well(self, user: str, event: Event, expires: int, wall: float) -> None:
        """Nothing of it is kept but where something had gone wrong: then that it goes well now."""
        ring = self.tries.get(user)
        if ring is not None and ring[-1].outcome not in WELL:
            ring.append(_attempt(event, "registered" if expires else "removed", wall))

    def of(self, user: str) -> list[Attempt]:
        tries = list(self.tries.get(user, ()))
        asked = self.asked.get(user)
        if asked is not None:
            at, event, times = asked
            tries.append(replace(_attempt(event, "challenged", at), times=times))
        return tries

    def last(self, user: str) -> Outcome | None:
        if user in self.asked:
            return "challenged"
        ring = self.tries.get(user)
        return None if ring is None else ring[-1].outcome

    def at(self, host: str) -> list[tuple[float, str]]:
        found = {user: ring[-1].at for user, ring in self.tries.items() if ring[-1].source[0] == host}
        found |= {user: asked[0] for user, asked in self.asked.items() if asked[1].source[0] == host}
        return [(at, user) for user, at in found.items()]

    def _may_read(self, now: float) -> bool:
        if now - self._second >= 1.0:
            self._second, self._read = now, 0
        self._read += 1
        if self._read <= self._bounds.limits.tries_a_second:
            return True
        self._bounds.meet("tries_a_second")
        return False


class Attempts:
    """Of one side. `peers` is the face's own table; guesses at one of them are noted at the gate."""

    def __init__(
        self,
        peers: Mapping[PlatformId, LowerPeer],
        clock: Callable[[], float],
        gate: Auditor,
        bounds: Bounds | None = None,
        later: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        """`later` calls after the answers of this turn have left: a record that is written of an id that
        somebody has must not show in how long its answer takes."""
        bounds = bounds or Bounds()
        self._later = later
        self._peers = peers
        self._clock = clock
        self._gate = gate
        self._audited = Sparse(clock, AUDITED_SECONDS)
        self._refusals = Refusals(clock)
        self._known = _Memory(bounds, "tries_of_peers")
        self._strangers = _Memory(bounds, "tries_of_strangers")
        self.backoff = Backoff(bounds)

    @property
    def counts(self) -> Counter[str]:
        return self.backoff.counts

    def review(
        self, events: Sequence[Event], run: Sequence[Registration], decisions: list[Decision], wall: float
    ) -> list[Decision]:
        """What becomes of them: as decided, but that who guesses is put off. `wall` is the time of day."""
        wrong: list[Event] = []
        known, guessed = self._known, len(self.backoff) > 0
        for place, (event, (_, auth, _, user, _), decision) in enumerate(
            zip(events, run, decisions, strict=True)
        ):
            if isinstance(decision, Accepted):  # then it is one of ours
                if guessed:
                    self.backoff.right(event.source[0], user)
                known.asked.pop(user, None)
                if known.tries:
                    known.went_well(user, event, decision.expires, wall)
                continue
            if len(user) > LONGEST:
                user = user[:LONGEST]
            memory = known if user in self._peers else self._strangers
            if auth == NONE:
                memory.ask(user, event, wall)
                continue
            outcome = _outcome(auth, decision)
            if outcome == "wrong":
                wrong.append(event)
                if self._is_put_off(user, event):
                    outcome = "put-off"
                    decisions[place] = Refused(decision.transaction, 403)
            memory.keep(user, event, outcome, wall)
        if wrong:
            self._refusals.note(wrong)
        return decisions

    def last(self, user: str) -> Outcome | None:
        """What the last try of a configured id came to, None where nothing is kept of it."""
        return self._known.last(user)

    def of(self, user: str) -> list[Attempt]:
        """The last tries of an id, oldest first."""
        return sorted([*self._strangers.of(user), *self._known.of(user)], key=lambda one: one.at)

    def users_at(self, host: str) -> list[str]:
        """The ids that tried from there, the latest first."""
        found = sorted([*self._strangers.at(host), *self._known.at(host)], reverse=True)
        return [user for _, user in found]

    def strangers(self) -> list[str]:
        """Ids that nobody has and that tried, the latest first."""
        found = {
            **dict.fromkeys(reversed(self._strangers.tries)),
            **dict.fromkeys(reversed(self._strangers.asked)),
        }
        return [user for user in found if user not in self._peers]

    def pause(self, user: str) -> float:
        """Seconds for which wrong digests of that id are put off yet, where it tried last."""
        tries = self.of(user)
        return self.backoff.pause(tries[-1].source[0], user, self._clock()) if tries else 0.0

    def _is_put_off(self, user: str, event: Event) -> bool:
        host = event.source[0]
        put_off, told = self.backoff.wrong(host, user, event.arrived)
        known = self._peers.get(PlatformId(user)) if told and user in self._peers else None
        if known is not None and self._audited.due(known.id):
            note = partial(self._gate.note, "password-guessed", known.id, source=host, times=str(told))
            note() if self._later is None else self._later(note)
        return put_off


def _outcome(auth: int, decision: Decision) -> Outcome:
    if isinstance(decision, Refused):
        return "too-short" if decision.status == 423 else "bound-elsewhere"
    if isinstance(decision, Redirected):
        return "redirected"
    return OUTCOMES.get(auth, "other")


def _attempt(event: Event, outcome: Outcome, wall: float) -> Attempt:
    return Attempt(
        at=wall,
        moment=event.arrived,
        source=event.source,
        transport=event.transport,
        outcome=outcome,
        user=event.from_user[:LONGEST],
        target=event.uri[:LONGEST],
        expires=event.expires,
        certificate=event.certificate[:LONGEST],
        agent=(event.header("User-Agent") or "")[:LONGEST],
        given=given_of(event.headers("Authorization"), event.arrived),
    )


def given_of(headers: Sequence[str], arrived: float) -> Given | None:
    """What the first Digest among them was made of, else which scheme there was; None without any."""
    found = None
    for header in headers:
        scheme, _, rest = header.strip().partition(" ")
        if scheme.lower() == "digest":
            return _digest(rest, arrived)
        found = found or Given(scheme=scheme[:LONGEST])
    return found


def _digest(text: str, arrived: float) -> Given:
    fields: dict[str, str] = {}
    for name, quoted, plain in PARAMETER.findall(text):
        fields.setdefault(name.lower(), (quoted or plain)[:LONGEST])
    response, nonce = fields.get("response", ""), fields.get("nonce", "")
    return Given(
        scheme="Digest",
        username=fields.get("username", ""),
        realm=fields.get("realm", ""),
        uri=fields.get("uri", ""),
        algorithm=fields.get("algorithm", ""),
        qop=fields.get("qop", ""),
        nc=fields.get("nc", ""),
        nonce=nonce[:SHOWN],
        nonce_age=_age(nonce, arrived),
        response_length=len(response),
    )


def _age(nonce: str, arrived: float) -> float | None:
    """By the moment that a nonce of ours begins with; the engine alone knows whether it signed it."""
    try:
        raw = binascii.a2b_base64(nonce, strict_mode=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != NONCE_BYTES:
        return None
    age = arrived - int.from_bytes(raw[:8], "big") / 1e6
    return age if 0.0 <= age < 1e7 else None
