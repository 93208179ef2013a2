"""Keeps the configuration of a running gateway: takes another while it runs, and follows the times of rules.

Nothing is closed or opened for that. Both doors judge by the new list from one moment on; streams that it
does not allow end with its reason, and what the other side is shown is told anew, so that rows that
may not be seen any more go and new ones come. Each side takes what it says of peers, secrets and limits.
Whatever is wrong in the new file, or its secrets, leaves all as it was.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from cascade.model.ids import PlatformId
from certs.identities import SideName
from gateway.chamber.policy import CompiledRules
from gateway.chamber.tickets import Ticket
from gateway.chamber.under_way import Stream
from gateway.config import Config, Examined, examine
from gateway.config_changes import Changes, changes_of, in_force, noted
from gateway.config_checks import odd_rules
from gateway.config_diff import RuleChanges
from gateway.config_lowers import pairs
from gateway.config_reading import Problem
from gateway.credentials.holders import Secrets, SideSecrets
from gateway.local.messages import Flowing, Reload, Reloaded, RulesState
from gateway.odd_rules import IDLE, ODDITIES, counted, idle_selectors
from gateway.outcome import Outcome, besides_rules, lines, some
from gateway.ticket_file import TicketsUnusable, granted
from gateway.tls import TlsFiles
from gateway.words import Words

log = logging.getLogger(__name__)

MINUTE: Final = 60.0
LOOK_SECONDS: Final = 600.0
MAX_TOLD: Final = 20
"""Problems of one file that are logged; a check of it tells all."""


class Door(Protocol):
    """`gateway.chamber.gate.Gate`."""

    @property
    def streams(self) -> Sequence[Stream]: ...

    def adopt(self, rules: CompiledRules) -> int: ...

    def reconsider(self) -> int: ...

    def ask_anew(self) -> None: ...

    def note(self, event: str, peer: PlatformId, **details: str) -> None: ...


def _nothing_to_take(config: Config, secrets: SideSecrets, files: TlsFiles) -> None:
    """Of a door without a side."""


def _no_certificates() -> str:
    return ""


class Kept(Struct, frozen=True):
    """One running side: its id, its door, how it tells the other side anew what there is below it, and how
    it takes what a configuration says of its peers and limits. `certificates`: the mark of those in force."""

    side: SideName
    id: PlatformId
    door: Door
    offer: Callable[[], None]
    take: Callable[[Config, SideSecrets, TlsFiles], None] = _nothing_to_take
    certificates: Callable[[], str] = _no_certificates


class Keeper:
    """`run` lives as long as the gateway. `file` is read again at each `reload`."""

    def __init__(
        self,
        file: Path,
        config: Config,
        secrets: Secrets,
        sides: Sequence[Kept],
        *,
        wall: Callable[[], float],
        side: SideName | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.tickets: tuple[Ticket, ...] = ()
        self.rules = config.rules()
        self._file = file
        self._config = config
        self._secrets = secrets
        self._sides = tuple(sides)
        self._side: SideName | None = side
        self._wall = wall
        self._counting = self.rules.at(wall())
        self._reloading = asyncio.Lock()
        self._asked = asyncio.Event()
        self._odd: Counter[str] = Counter()  # as was told
        self._taken = asyncio.Event()

    def ask(self) -> None:
        """Reload soon: for a signal."""
        self._asked.set()

    async def run(self) -> None:
        """Take the tickets, reload when asked, follow the clock, and look what is odd, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_up())
            tasks.create_task(self._look_often())

    def state(self) -> RulesState:
        """How it stands, for who asks."""
        odd = {name: self._odd[name] for name in ODDITIES}
        return RulesState(rules=len(self.rules.rules), odd=odd, counts=dict(self.counts))

    async def look(self) -> None:
        """Count what is odd about the rules that count, by the channels that are kept."""
        try:
            odd = await asyncio.to_thread(_odd, self._config)
        except sqlite3.Error as error:
            log.warning("rules.not_looked_at", extra={"reason": str(error)})
            return
        if odd and odd != self._odd:
            log.warning("rules.odd", extra={name: odd[name] for name in ODDITIES})
        self._odd = odd

    async def _look_often(self) -> None:
        """Now, whenever rules were taken, and as channels come and go."""
        while True:
            self._taken.clear()
            await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._taken.wait()

    async def _keep_up(self) -> None:
        await self.renew()
        while True:
            left = MINUTE - self._wall() % MINUTE
            try:
                async with asyncio.timeout(left if self.rules.timed else None):
                    await self._asked.wait()
            except TimeoutError:
                self._follow()
                continue
            self._asked.clear()
            try:
                await self.reload()
            except Exception:  # the rules that count go on counting; the next attempt may do better
                log.exception("rules.reload_failed")

    async def reload(self, by: str = "signal") -> Outcome:
        """Read the file again; take it if all of it is usable, else change nothing and say why."""
        async with self._reloading:
            examined = await asyncio.to_thread(self._read)
            outcome = self._take(examined, by)
        self._tell(outcome)
        return outcome

    async def renew(self) -> bool:
        """Read the tickets again; False where that cannot be done; those that were there go on counting."""
        async with self._reloading:
            try:
                tickets = await asyncio.to_thread(granted, Path(self._config.gateway.state))
            except TicketsUnusable as error:
                self.counts["tickets_unusable"] += 1
                log.warning("tickets.unusable", extra={"problem": error.said})
                return False
            self._exchange(tuple(ticket for ticket in tickets if ticket.counts(self._wall())))
        return True

    def _exchange(self, tickets: tuple[Ticket, ...]) -> None:
        """Let these count and no others, and write down which came and went."""
        before, self.tickets = self.tickets, tickets
        if before == tickets:
            return
        for ticket in tickets:
            if ticket not in before:
                self._note("ticket-granted", ticket)
        for ticket in before:
            if ticket not in tickets:
                self._note("ticket-withdrawn" if ticket.counts(self._wall()) else "ticket-expired", ticket)
        self.rules = self._config.rules(tickets)
        self._counting = self.rules.at(self._wall())
        ended = sum(side.door.adopt(self.rules) for side in self._sides)
        self._tell_rows()
        log.info("tickets.taken", extra={"counting": len(tickets), "streams_ended": ended})

    def _note(self, event: str, ticket: Ticket) -> None:
        for side in self._sides:
            side.door.note(
                event,
                PlatformId(ticket.peer),
                ticket=ticket.id,
                action=ticket.action,
                channel=ticket.channel,
                until=datetime.fromtimestamp(ticket.until, UTC).isoformat(),
                by=ticket.by,
                reason=ticket.reason,
            )

    async def answer(self, request: Reload) -> Reloaded:
        """For the local socket."""
        if request.what == "tickets":
            return Reloaded(taken=await self.renew())
        if request.what == "nothing":
            return Reloaded(taken=False, streams=self._flowing())
        if request.what == "difference":
            return await self._difference(Path(request.file), Words(request.language))
        outcome = await self.reload("command")
        return Reloaded(taken=outcome.taken, lines=tuple(lines(outcome, Words(request.language))))

    async def _difference(self, file: Path, words: Words) -> Reloaded:
        """From what counts here to that file, its secrets and its certificates. Nothing is taken."""
        examined = await asyncio.to_thread(examine, file, self._side, place=self._file)
        if examined.config is None or examined.problems:
            return Reloaded(taken=False)
        changes = self._changes(examined.config, examined)
        return Reloaded(taken=True, lines=tuple(besides_rules(changes, words)))

    def _flowing(self) -> tuple[Flowing, ...]:
        """What flows, as the first of the doors knows it: both know the same."""
        return tuple(
            Flowing(
                direction=stream.asked.direction,
                peer=str(stream.asked.asker),
                action=stream.action,
                channel=str(stream.channel),
            )
            for stream in self._sides[0].door.streams
        )

    def _read(self) -> Examined:
        return examine(self._file, self._side)

    def _take(self, examined: Examined, by: str) -> Outcome:
        new = examined.config
        if new is None or examined.problems:
            self.counts["refused"] += 1
            return Outcome(examined.problems, None, 0)
        changes = self._changes(new, examined)
        self.counts["reloads"] += 1
        self._config = in_force(self._config, new)
        self._secrets = examined.secrets
        ended = self._adopt_rules(changes.rules, by) if changes.rules.any else 0
        if changes.sides:
            self._adopt_sides(changes, by, examined.files)
        self._tell_rows()  # even by the same rules: the other host may have had others when it was told
        self._taken.set()
        return Outcome((), changes, ended, examined.warnings)

    def _changes(self, new: Config, examined: Examined) -> Changes:
        """From what counts to that."""
        files = examined.files
        renewed = tuple(kept.side for kept in self._sides if kept.certificates() != files[kept.side].mark)
        found = changes_of(self._config, new, self._secrets, examined.secrets, self._side)
        return replace(found, certificates=renewed)

    def _adopt_sides(self, changes: Changes, by: str, files: Mapping[SideName, TlsFiles]) -> None:
        for kept in self._sides:
            kept.door.note("configuration-reloaded", kept.id, by=by, **noted(changes, some))
            kept.take(self._config, self._secrets.of(kept.side), files[kept.side])

    def _adopt_rules(self, changes: RuleChanges, by: str) -> int:
        self.rules = self._config.rules(self.tickets)
        self._counting = self.rules.at(self._wall())
        for side in self._sides:
            side.door.note(
                "rules-reloaded",
                side.id,
                by=by,
                rules=str(len(self._config.rule)),
                fingerprint=self.rules.fingerprint,
                added=some(changes.added),
                removed=some(changes.removed),
                changed=some(changes.changed),
                moved=some(changes.moved),
            )
        return sum(side.door.adopt(self.rules) for side in self._sides)

    def _follow(self) -> None:
        """Do what the time of day asks for: some rules count from now on, or do not any more."""
        self._exchange(tuple(ticket for ticket in self.tickets if ticket.counts(self._wall())))
        counting = self.rules.at(self._wall())
        if counting is self._counting:
            return
        self._counting = counting
        ended = sum(side.door.reconsider() for side in self._sides)
        self._tell_rows()
        log.info("rules.by_time", extra={"counting": len(counting.rules), "streams_ended": ended})

    def _tell_rows(self) -> None:
        """What each door lets through may be another part of the rows than it was, either way."""
        for side in self._sides:
            side.offer()
            side.door.ask_anew()

    def _tell(self, outcome: Outcome) -> None:
        changes = outcome.changes
        if changes is None:
            for problem in outcome.problems[:MAX_TOLD]:
                log.warning(
                    "rules.refused",
                    extra={"file": problem.file, "key": problem.key, "problem": problem.what},
                )
            return
        if outcome.later:
            log.warning("rules.rest_waits", extra={"keys": ", ".join(outcome.later)})
        if changes.sides:
            log.info("configuration.reloaded", extra=noted(changes, some))
        rules = changes.rules
        log.info(
            "rules.reloaded",
            extra={
                "rules": len(self.rules.rules),
                "added": len(rules.added),
                "removed": len(rules.removed),
                "changed": len(rules.changed),
                "moved": len(rules.moved),
                "streams_ended": outcome.ended,
            },
        )


def _odd(config: Config) -> Counter[str]:
    """Of its rules, and of what the stores keep of the channels."""
    odd = counted(Problem("", key, what, warning=True) for key, what in odd_rules(config.rule))
    peers = [str(peer) for side in (config.outer, config.inner) for peer, _ in pairs(side.lower)]
    odd[IDLE] = len(idle_selectors(Path(config.gateway.state), peers, config.rule))
    return +odd


@asynccontextmanager
async def keeping(keeper: Keeper) -> AsyncIterator[Keeper]:
    """Let it run until the context ends."""
    task = asyncio.get_running_loop().create_task(keeper.run(), name="keeper of the rules")
    try:
        yield keeper
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
