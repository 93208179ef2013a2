"""What the demo sees of the gateway it plays through: what `lockgate status` shows, and what is shared."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.app import Gateway
from gateway.cli.status import gathered
from gateway.local.client import connected
from gateway.local.messages import BelowState, SideState, Standing, Status
from interop.demo.cast import CAMERA, KEPT_BRANCH, LOWER_ID
from interop.sim.catalog import Tree


@dataclass(frozen=True, slots=True)
class Look:
    """Both sides at one moment; `offered` and `shared` count cameras, `whole` is when none is missing."""

    outer: SideState
    inner: SideState
    offered: int
    shared: int
    whole: bool

    @property
    def below(self) -> BelowState:
        """The lower platform, the one peer of its side."""
        return self.outer.below

    @property
    def orphans(self) -> int:
        """Sessions, dialogs and ports in our own tables; 0 when nobody watches anything."""
        sides = (self.outer, self.inner)
        return sum(len(side.streams) + side.viewings + side.calls + side.ports for side in sides)

    @property
    def crossings(self) -> int:
        return self.outer.crossings + self.inner.crossings


class Watched(Protocol):
    """A gateway, as one process or as two hosts."""

    async def look(self) -> Look: ...


class OneProcess:
    """Both sides here."""

    def __init__(self, gateway: Gateway, tree: Tree) -> None:
        self._gateway = gateway
        self._desk = gateway.desk(time.time)
        self._wanted = frozenset(cameras_shared(tree)) | frozenset(speakers_shared(tree))

    async def look(self) -> Look:
        outer, inner = sides(self._desk.status(Status()))
        shared = self._gateway.inner.side.shared.rows(LOWER_ID).ids()
        offered = self._gateway.outer.side.below.rows(LOWER_ID).ids()
        return Look(
            outer, inner, len(cameras_of(offered)), len(cameras_of(shared)), self._wanted <= frozenset(shared)
        )


class TwoHosts:
    """A process each, asked through its local socket. Rows are counted; which they are stays with them."""

    def __init__(self, folders: Sequence[Path], tree: Tree) -> None:
        """`folders` are where each side keeps its state."""
        self._folders = folders
        self._beside = rows_beside_cameras(tree)
        self._wanted = len(cameras_shared(tree))

    async def look(self) -> Look:
        """Raises gateway.local.client.Unanswered where a host does not answer."""
        outer, inner = sides(await asyncio.to_thread(self._ask))
        beside_below, beside_above = self._beside
        offered = max(0, outer.below.rows - beside_below)
        shared = max(0, inner.uppers[0].shared - beside_above)
        whole = inner.rows_passed >= self._wanted + beside_above  # a share counts once it was asked for
        return Look(outer, inner, offered, shared, whole)

    def _ask(self) -> Standing:
        standings = []
        for folder in self._folders:
            with connected(folder) as gateways:
                standings += [gateway.status() for gateway in gateways]
        return gathered(standings)


def sides(standing: Standing) -> tuple[SideState, SideState]:
    by_name = {side.side: side for side in standing.sides}
    return by_name["outer"], by_name["inner"]


def cameras_of(ids: Sequence[str]) -> list[str]:
    return sorted(name for name in ids if len(name) == 20 and name[10:13] == CAMERA)


def cameras_shared(tree: Tree) -> list[str]:
    """Ids of the cameras that the rules share."""
    return [camera.id for camera in tree.cameras if camera.parent != KEPT_BRANCH]


def speakers_shared(tree: Tree) -> list[str]:
    """Ids of the loudspeakers that the rules share."""
    return [speaker.id for speaker in tree.speakers if speaker.parent != KEPT_BRANCH]


def rows_beside_cameras(tree: Tree) -> tuple[int, int]:
    """Of the lower platform's catalog, and of what the rules share of it: itself, branches, loudspeakers."""
    all_rows = tree.items(tree.owner) or []
    below = len(all_rows) - len(tree.cameras)
    kept = [one.id for one in tree.branches if one.id == KEPT_BRANCH]
    kept += [one.id for one in tree.speakers if one.parent == KEPT_BRANCH]
    return below, below - len(kept)
