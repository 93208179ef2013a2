"""The registrar of the upper platform: challenge, check, grant, and note who is alive (9.1, 9.6)."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from interop.sim.net import Address
from interop.sim.picture import BEIJING
from interop.sim.reasons import Told
from interop.words import saying
from sip.events import Auth, Event, Reply
from sip.uri import host_port

_MAX_EXPIRES: Final = 86_400
_USUAL_EXPIRES: Final = 3600


class NotRegistered(Told):
    """The platform that is asked for has no registration here."""


@dataclass(frozen=True, slots=True)
class Registered:
    """One platform below, as it registered. Times are the loop's."""

    id: str
    address: Address
    contact: str
    expires: int
    since: float
    last_seen: float
    keepalives: int

    @property
    def domain(self) -> str:
        """By convention the first ten digits."""
        return self.id[:10]


class Registrar:
    """Grants what the engine verified, to those it knows. `rejected` counts what was refused for good."""

    def __init__(self, known: Iterable[str], wall: Callable[[], float]) -> None:
        self.rejected = 0
        self.redirect: Sequence[str] = ()  # Contact values: who proved itself is led there by 302
        self.redirect_seconds = 3600
        self._known = frozenset(known)
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._bound: dict[str, Registered] = {}
        self._news = asyncio.Event()

    def registered(self) -> tuple[Registered, ...]:
        """Who is registered and within its lease."""
        now = self._loop.time()
        return tuple(bound for bound in self._bound.values() if now < bound.since + bound.expires)

    def find(self, platform: str | None) -> Registered | None:
        """That platform, or with None the only one there is."""
        bound = {one.id: one for one in self.registered()}
        if platform is None:
            return next(iter(bound.values())) if len(bound) == 1 else None
        return bound.get(platform)

    def need(self, platform: str | None) -> Registered:
        """As `find`. Raises NotRegistered."""
        if (bound := self.find(platform)) is None:
            raise NotRegistered(
                saying("why.absent", id=platform) if platform else saying("why.not_one_there")
            )
        return bound

    async def wait_registered(self, platform: str) -> Registered:
        """Return once that id is registered."""
        while (bound := self.find(platform)) is None:
            self._news.clear()
            await self._news.wait()
        return bound

    def decide(self, run: list[Event]) -> Sequence[Reply]:
        """Decider for `Kind.REGISTER`."""
        return [self._register(event) for event in run]

    def _register(self, event: Event) -> Reply:
        user = event.from_user
        if event.auth != Auth.VERIFIED:
            return event.transaction, 401
        if event.username != user or user not in self._known:
            self.rejected += 1
            return event.transaction, 403
        if self.redirect and event.expires != 0:
            self._bound.pop(user, None)
            return (
                event.transaction,
                302,
                [*(("Contact", place) for place in self.redirect), ("Expires", str(self.redirect_seconds))],
            )
        expires = min(_USUAL_EXPIRES if event.expires is None else event.expires, _MAX_EXPIRES)
        moment = datetime.fromtimestamp(self._wall(), BEIJING)
        headers = [
            ("Expires", str(expires)),
            ("Date", f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}"),
        ]
        if expires:
            contact = event.contact or f"sip:{user}@{host_port(*event.source)}"
            headers.append(("Contact", f"<{contact}>;expires={expires}"))
            self._bind(user, event.source, contact, expires)
        else:
            self._bound.pop(user, None)
        self._news.set()
        return event.transaction, 200, headers

    def _bind(self, user: str, address: Address, contact: str, expires: int) -> None:
        now = self._loop.time()
        before = self._bound.get(user)
        count = before.keepalives if before else 0
        self._bound[user] = Registered(user, address, contact, expires, now, now, count)

    def forget(self, platform: str) -> None:
        """As after a restart without memory."""
        self._bound.pop(platform, None)

    def admits(self, event: Event) -> Registered | None:
        """Whose message that is, None (counted) when nobody is registered as that from there."""
        bound = self.find(event.from_user)
        if bound is None or bound.address != event.source:
            self.rejected += 1
            return None
        return bound

    def alive(self, bound: Registered) -> None:
        """Note a keepalive."""
        self._bound[bound.id] = replace(bound, last_seen=self._loop.time(), keepalives=bound.keepalives + 1)
