"""The uppers of a face while it runs: each with its tasks, and who comes, goes or is another meanwhile.

Nobody else notices. Who goes loses its legs and the cameras it turns, and is told that we are not registered
there any more; what it was shown is kept, since an id never means anything else. Who is reached elsewhere,
or under other names, is registered at anew, after the goodbye to where it was.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from cascade.addresses import Listener, Networks
from cascade.as_lower.controls import Controls
from cascade.as_lower.registrant import Registrant
from cascade.as_lower.uppers import Upper, Uppers
from cascade.leg import Legs
from cascade.model.ids import PlatformId
from cascade.peers import UpperPeer
from cascade.ports import Store

ADDRESS: Final = ("host", "port")
NAMES: Final = ("domain", "username", "transport")

Task = asyncio.Task[None]


class Adoption:
    """Of one face. `media` is the table that its rooms look into; `register` makes a registration."""

    def __init__(
        self,
        uppers: Uppers,
        *,
        media: dict[PlatformId, Networks],
        listeners: Sequence[Listener],
        register: Callable[[UpperPeer], Registrant],
        legs: Legs,
        controls: Controls,
        store: Store,
    ) -> None:
        self._uppers = uppers
        self._media = media
        self._listeners = listeners
        self._register = register
        self._legs = legs
        self._controls = controls
        self._store = store
        self._group: asyncio.TaskGroup | None = None
        self._registered: dict[
            PlatformId, Task
        ] = {}  # those that go have theirs until they have said goodbye
        self._answering: dict[PlatformId, Task] = {}
        self._reporting: dict[PlatformId, Task] = {}
        self._notifying: dict[PlatformId, Task] = {}
        self._coming: dict[PlatformId, Task] = {}

    def run(self, group: asyncio.TaskGroup) -> None:
        """Let each upper live within these tasks."""
        self._group = group
        for found in self._uppers:
            self._begin(found)

    def stop(self) -> None:
        """Nobody comes any more."""
        self._group = None

    def take(self, new: Mapping[PlatformId, UpperPeer]) -> None:
        """These are the uppers from now on."""
        for task in self._coming.values():
            task.cancel()
        self._uppers.learn([*new.values()])
        for found in list(self._uppers):
            peer = new.get(found.peer.id)
            if peer is None:
                self._dismiss(found)
            elif peer != found.configured:
                self._change(found, peer)
        self._uppers.relearn(new)
        for peer in new.values():
            there = self._uppers.get(peer.id)
            self._media[peer.id] = media_networks(peer if there is None else there.peer, self._listeners)
            if there is None and self._group is not None:
                self._coming[peer.id] = self._group.create_task(self._welcome(peer))

    async def _welcome(self, peer: UpperPeer) -> None:
        pairs, letters = await self._store.mapping(peer.id), await self._store.letters()
        self._coming.pop(peer.id, None)
        found = self._uppers.add(peer, pairs)
        found.reporting.outbox.add(letter for letter in letters if letter.to == peer.id)
        self._begin(found)

    def _begin(self, found: Upper) -> None:
        if self._group is None:
            return
        upper = found.peer.id
        self._stay(found)
        self._answering[upper] = self._group.create_task(found.answers.run(), name=f"catalog for {upper}")
        self._reporting[upper] = self._group.create_task(found.reporting.run(), name=f"alarms for {upper}")
        self._notifying[upper] = self._group.create_task(
            found.subscriptions.run(), name=f"subscriptions of {upper}"
        )

    def _stay(self, found: Upper) -> None:
        """Register once whoever was registered there before has said goodbye."""
        upper = found.peer.id
        before, registrant = self._registered.get(upper), found.registrant

        async def stay() -> None:
            if before is not None:
                await asyncio.wait([before])
            await registrant.run()

        if self._group is not None:
            self._registered[upper] = self._group.create_task(stay(), name=f"registrant {upper}")

    def _dismiss(self, found: Upper) -> None:
        upper = found.peer.id
        found.gone = True
        self._legs.lose(upper, "peer removed")
        self._controls.lose(upper)
        living = (
            self._registered.get(upper),
            self._answering.pop(upper, None),
            self._reporting.pop(upper, None),
            self._notifying.pop(upper, None),
        )
        for task in living:
            if task is not None:
                task.cancel()
        self._uppers.remove(upper)
        del self._media[upper]

    def _change(self, found: Upper, peer: UpperPeer) -> None:
        before = found.configured
        moved, renamed = _differ(before, peer, ADDRESS), _differ(before, peer, NAMES)
        if moved:
            self._legs.lose(peer.id, "peer moved")
            self._controls.lose(peer.id)
        if not (moved or renamed):
            found.adopt(peer)
            return
        registered = self._registered.get(peer.id)
        if registered is not None:
            registered.cancel()
        found.registrant = self._register(peer)
        found.lead(None)
        found.adopt(peer)
        self._stay(found)


def _differ(one: UpperPeer, other: UpperPeer, fields: Sequence[str]) -> bool:
    return any(getattr(one, field) != getattr(other, field) for field in fields)


def media_networks(peer: UpperPeer, listeners: Sequence[Listener]) -> Networks:
    """Where media may be sent for it."""
    return Networks(peer.media_networks or peer.networks or (peer.host,), listeners)
