"""`lockgate-sim fleet`: as many devices as a province has, as load for a registrar."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from interop.sim._native import Fleet
from interop.sim.membership import Server
from interop.sim.net import Address
from interop.sim.station import Reporter

SLICE_SECONDS: Final = 0.2
"""How long the native part runs before it looks whether it shall stop."""

REFRESH: Final = 0.8
"""A registration is refreshed after this part of its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a fleet does: all register, `window` at once; then keepalives and refreshes at an even pace.

    `waves`: how often all register before that. `strangers`: forged REGISTERs a second meanwhile.
    """

    count: int
    window: int
    expires: int
    keepalive: float
    waves: int = 1
    strangers: int = 0


class Running:
    """A fleet at work, and what it says of itself."""

    def __init__(
        self, server: Server, local: Address, *, first_id: str, password: str, sockets: int, plan: Plan
    ) -> None:
        self._plan = plan
        self._fleet = Fleet(
            server.address,
            local,
            server_id=server.id,
            domain=server.domain,
            first_id=first_id,
            count=plan.count,
            password=password,
            expires=plan.expires,
            sockets=sockets,
        )

    async def run(self, reporter: Reporter) -> None:
        """Do what is planned until cancelled."""
        plan, fleet = self._plan, self._fleet
        loop = asyncio.get_running_loop()
        if plan.strangers:
            fleet.aim("forged", rate=plan.strangers)
        for _ in range(plan.waves):
            begun = loop.time()
            wanted = fleet.counters()["register_started"] + plan.count
            fleet.aim("register", window=plan.window, count=plan.count)
            while not self._registered_all(wanted):
                await asyncio.to_thread(fleet.run, SLICE_SECONDS)
            taken = loop.time() - begun
            reporter.say("fleet_registered", seconds=round(taken, 2), **self.status())
        fleet.forget_latency()
        fleet.aim("keepalive", rate=plan.count / plan.keepalive)
        fleet.aim("register", rate=plan.count / (plan.expires * REFRESH))
        while True:
            await asyncio.to_thread(fleet.run, SLICE_SECONDS)

    def _registered_all(self, wanted: int) -> bool:
        counters = self._fleet.counters()
        return counters["register_started"] >= wanted and not counters["under_way"]

    def status(self) -> dict[str, Any]:
        """Plain values by name; what did not happen is left out."""
        counters = self._fleet.counters()
        figures: dict[str, Any] = {
            "registered": counters["registered"],
            "cameras": self._plan.count,
            "registrations": counters["register_finished"],
            "keepalives": counters["keepalive_finished"],
        }
        for work in ("register", "keepalive"):
            count, p50, p99, _ = self._fleet.latency(work)
            if count:
                figures |= {f"{work}_ms": round(p50 * 1e3, 2), f"{work}_p99_ms": round(p99 * 1e3, 2)}
        further = {
            "refused": counted(statuses(counters, "register", "keepalive")),
            "lost": counters["register_lost"] + counters["keepalive_lost"],
            "retransmitted": counters["retransmitted"],
            "put_off": counters["put_off"],
            "catalogs": counters["catalogs"],
            "strangers": counters["forged_started"],
            "unreadable": counters["unreadable"],
            "unsent": counters["dropped"],
        }
        return figures | {name: value for name, value in further.items() if value}

    def missing(self) -> tuple[int, dict[int, int]]:
        """How many are not registered, and how often which status was given to whom wanted to be."""
        counters = self._fleet.counters()
        return self._plan.count - counters["registered"], statuses(counters, "register")


def statuses(counters: dict[str, int], *works: str) -> dict[int, int]:
    """How often these works ended in each status but 200."""
    found: dict[int, int] = {}
    for name, count in counters.items():
        work, _, status = name.partition("_")
        if work in works and status.isdecimal():
            found[int(status)] = found.get(int(status), 0) + count
    return dict(sorted(found.items()))


def counted(statuses: dict[int, int]) -> str:
    """Such as `403: 12, 503: 4`; "" for none."""
    return ", ".join(f"{status}: {times}" for status, times in statuses.items())
