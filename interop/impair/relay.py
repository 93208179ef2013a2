"""Two ends that reach each other at one address of ours, over a network as bad as planned."""

import asyncio
from typing import Final

from interop.impair.plan import Fates, Plan
from interop.sim.net import Address, Net

MAX_HELD: Final = 10_000
"""Copies on their way at once; what comes beyond is lost, and counted."""


class Relay:
    """Each end takes our address for the other's. `one` is None where it is whoever speaks first."""

    def __init__(self, net: Net, here: Address, one: Address | None, other: Address, plan: Plan) -> None:
        self._loop = asyncio.get_running_loop()
        self._one = one
        self._other = other
        self.to_other = Fates(plan.to_other, f"{plan.seed} to other")
        self.to_one = Fates(plan.to_one, f"{plan.seed} to one")
        self._held: set[asyncio.TimerHandle] = set()
        self._port = net.datagrams(here, self._receive)
        self.address = self._port.address

    def close(self) -> None:
        for handle in self._held:
            handle.cancel()
        self._held.clear()
        self._port.close()

    def totals(self) -> dict[str, int]:
        """Of both directions."""
        names = ("passed", "lost", "doubled", "delayed", "reordered")
        return {name: getattr(self.to_other, name) + getattr(self.to_one, name) for name in names}

    def _receive(self, datagram: bytes, source: Address) -> None:
        if source == self._other:
            fates, destination = self.to_one, self._one
        elif self._one is None or source == self._one:
            self._one = source
            fates, destination = self.to_other, self._other
        else:
            return  # a third one, who is no part of this
        for wait in fates.next():
            if destination is None:
                continue
            if wait <= 0.0:
                self._port.send(datagram, destination)
            elif len(self._held) < MAX_HELD:
                self._hold(wait, datagram, destination)
            else:
                fates.lost += 1

    def _hold(self, wait: float, datagram: bytes, destination: Address) -> None:
        def send() -> None:
            self._held.discard(handle)
            self._port.send(datagram, destination)

        handle = self._loop.call_later(wait, send)
        self._held.add(handle)
