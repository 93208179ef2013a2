"""Being registered at a server: digest, refresh, keepalives, and coming back (GB/T 28181-2016 9.1, 9.6)."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from interop.sim import xml
from interop.sim.net import Address
from interop.sim.reasons import Told, answered, unanswered
from interop.words import Saying, saying
from sip._native import authorize
from sip.aio.ask import ask
from sip.endpoint import Endpoint, Party
from sip.errors import SipError
from sip.events import Event
from sip.uri import host_port

_AT_ONCE: Final = frozenset({401, 403, 404, 481})
"""Answers to a keepalive that mean: not registered here."""

_MISSES: Final = 3
_LEAVING_SECONDS: Final = 3.0


class RegistrationRefused(Told):
    """The server's final answer was not 200. `status` 0: there was no answer."""

    def __init__(self, status: int, reason: str | Saying) -> None:
        super().__init__(answered(status, reason))
        self.status = status


@dataclass(frozen=True, slots=True)
class Server:
    """The platform above, as its administrator would tell us."""

    id: str
    domain: str
    address: Address

    @property
    def party(self) -> Party:
        return Party(self.id, self.domain)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long and how often, in seconds."""

    expires: int = 3600
    keepalive: float = 60.0
    retry: float = 60.0
    version: str = ""  # X-GB-Ver in each REGISTER


class Membership:
    """One identity's registration. `run` keeps it up until cancelled; `leave` takes it back.

    `window` is shared by identities on one endpoint: so many exchanges at once, for the buffers' sake.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        me: Party,
        password: str,
        server: Server,
        terms: Terms,
        *,
        charset: str = "GB2312",
        window: asyncio.Semaphore | None = None,
        on_change: Callable[[bool], None] = lambda registered: None,
    ) -> None:
        self.me = me
        self.registered = asyncio.Event()
        self.last_error: RegistrationRefused | None = None
        self.led: list[str] = []  # Contact values of the last 302
        self.keepalives = 0  # that were answered 200
        self.registrations = 0
        self._endpoint = endpoint
        self._password = password
        self._server = server
        self._terms = terms
        self._charset = charset
        self._window = window or asyncio.Semaphore(1)
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._call_id = f"{endpoint.token()}@{endpoint.local[0]}"
        self._from_tag = endpoint.token()
        self._sequence = 0
        self._sn = 0

    async def run(self) -> None:
        """Register, keep alive, refresh, register again after a failure; until cancelled."""
        while True:
            try:
                granted = await self.register(self._terms.expires)
            except RegistrationRefused as refused:
                self.last_error = refused
                self._set(False)
                await asyncio.sleep(self._terms.retry)
                continue
            self._set(True)
            refresh = self._loop.time() + min(0.8 * granted, max(granted - 60.0, 1.0))
            if not await self._keep_alive(refresh):
                self._set(False)

    async def leave(self) -> None:
        """Unregister, if registered; waits three seconds at most for the answer."""
        if not self.registered.is_set():
            return
        self._set(False)
        try:
            async with asyncio.timeout(_LEAVING_SECONDS):
                await self.register(0)
        except RegistrationRefused as refused:
            self.last_error = refused
        except TimeoutError:
            self.last_error = RegistrationRefused(0, saying("why.leaving"))

    async def register(self, expires: int) -> int:
        """The exchange of REGISTER, 401, REGISTER, 200; seconds granted. 0 unregisters.

        Raises:
            RegistrationRefused: another answer, or none.
        """
        async with self._window:
            answer = await self._ask_register(expires, None)
            if answer.status in {401, 407}:
                challenges = answer.headers("WWW-Authenticate")
                try:
                    answer = await self._ask_register(expires, challenges)
                except ValueError as error:
                    raise RegistrationRefused(401, saying("why.challenge", text=str(error))) from None
        if answer.status == 302:
            self.led = answer.headers("Contact")
        if answer.status != 200:
            raise RegistrationRefused(answer.status, answer.reason)
        self.registrations += 1 if expires else 0
        return expires if answer.expires is None else answer.expires

    async def _ask_register(self, expires: int, challenges: Sequence[str] | None) -> Event:
        self._sequence += 1
        uri = self._server.party.uri
        contact = f"<sip:{self.me.user}@{host_port(*self._endpoint.local)}>"
        headers = [("Contact", contact), ("Expires", str(expires))]
        if self._terms.version:
            headers.append(("X-GB-Ver", self._terms.version))
        if challenges is not None:
            cnonce = self._endpoint.token()
            value = authorize(challenges, self.me.user, self._password, "REGISTER", uri, cnonce)
            headers.append(("Authorization", value))
        outgoing = self._endpoint.request(
            "REGISTER",
            self.me,
            self._server.address,
            uri=uri,
            headers=headers,
            call_id=self._call_id,
            cseq=self._sequence,
            from_tag=self._from_tag,
            sender=self.me,
        )
        try:
            return await ask(self._endpoint, outgoing)
        except SipError as error:
            raise RegistrationRefused(0, unanswered(error)) from None

    async def _keep_alive(self, until: float) -> bool:
        """Send keepalives until then (True), or until the server no longer knows us (False)."""
        misses = 0
        while (left := until - self._loop.time()) > 0:
            await asyncio.sleep(min(self._terms.keepalive, left))
            if self._loop.time() >= until:
                break
            status = await self._send_keepalive()
            if status == 200:
                misses = 0
                self.keepalives += 1
                continue
            misses += 1
            if status in _AT_ONCE or misses >= _MISSES:
                return False
        return True

    async def _send_keepalive(self) -> int:
        self._sn += 1
        status = xml.elements([("Status", "OK")])
        body = xml.write("Notify", "Keepalive", self._sn, self.me.user, status, charset=self._charset)
        outgoing = self._endpoint.request(
            "MESSAGE",
            self._server.party,
            self._server.address,
            body=body,
            content_type=xml.CONTENT_TYPE,
            sender=self.me,
        )
        try:
            async with self._window:
                return (await ask(self._endpoint, outgoing)).status
        except SipError:
            return 0

    def _set(self, registered: bool) -> None:
        if registered == self.registered.is_set():
            return
        if registered:
            self.registered.set()
        else:
            self.registered.clear()
        self._on_change(registered)
