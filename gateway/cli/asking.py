"""What questions about rules name on the command line: peers, actions, channels; and the kept catalogs."""

import sqlite3
import time
from pathlib import Path
from typing import Final, NoReturn

import typer

from cascade.crossing import Direction
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.index import Index, Rows
from gateway.chamber.policy import NOWHERE, Place
from gateway.chamber.replay import channel_of
from gateway.chamber.tickets import Ticket
from gateway.config import Config
from gateway.config_checks import ACTIONS
from gateway.config_lowers import pairs
from gateway.config_reading import Problem
from gateway.odd_rules import idle_selectors
from gateway.store.sqlite.reading import peers_with, rows_of
from gateway.ticket_file import TicketsUnusable, granted
from gateway.words import Words, saying

SIDES: Final[tuple[tuple[str, Direction], ...]] = (("outer", "inward"), ("inner", "outward"))
"""Each side, and which way what its peers ask or report goes."""


class Catalogs:
    """The rows that the stores of a gateway hold of the peers below it."""

    def __init__(self, config: Config, words: Words) -> None:
        self._words = words
        self._state = Path(config.gateway.state)
        self.sides: dict[str, tuple[str, Direction]] = {
            peer: (name, direction)
            for (name, direction), side in zip(SIDES, (config.outer, config.inner), strict=True)
            for peer, _ in pairs(side.lower)
        }
        self._indexes: dict[str, Index] = {}

    def of(self, peer: PlatformId) -> Index:
        """Its rows, with their branches; none where nothing is kept of it.

        The host of the other side alone has what it was told, and where that stands.
        """
        found = self._indexes.get(peer)
        if found is None:
            own, _ = self.sides.get(peer, ("", "inward"))
            there = [side for side, _ in SIDES if (self._state / side / "catalog.db").exists()]
            told = own not in there
            found = self._indexes[peer] = Index(told=told)
            for side in there if told else [own]:
                for owner, rows in self._read(side, peer):
                    found.apply(owner, rows, complete=False)
        return found

    def _read(self, side: str, peer: str) -> list[tuple[PlatformId, Rows]]:
        try:
            return rows_of(self._state / side, peer)
        except sqlite3.Error as error:
            raise self._unreadable(side, error) from error

    def peers_with(self, name: str) -> list[str]:
        try:
            found = {peer for side, _ in SIDES for peer in peers_with(self._state / side, name)}
        except sqlite3.Error as error:
            raise self._unreadable("", error) from error
        return sorted(peer for peer in found if peer in self.sides)

    def idle(self, config: Config, file: Path) -> list[Problem]:
        """Selectors of its rules that select nothing of what is kept; none where nothing is kept yet."""
        try:
            idle = idle_selectors(self._state, [*self.sides], config.rule)
        except sqlite3.Error as error:
            raise self._unreadable("", error) from error
        return [
            Problem(str(file), f"rule[#{number}].channels", saying("config.idle", selector=selector), True)
            for number, rule in enumerate(config.rule, start=1)
            for selector in rule.channels
            if selector in idle
        ]

    def place(self, channel: ChannelId) -> Place:
        return self.of(channel.peer).place(channel.peer, channel.name) or NOWHERE

    def _unreadable(self, side: str, error: sqlite3.Error) -> typer.Exit:
        folder = str(self._state / side)
        typer.echo(self._words.say("policy.no_catalog", folder=folder, reason=str(error)), err=True)
        return typer.Exit(2)


def asked_well(peer: str, action: str, config: Config, words: Words) -> Direction:
    """Which way what this peer asks goes. Exits 2 where there is no such peer, or no such action."""
    direction = direction_of(peer, config)
    if direction is None:
        give_up(words.say("policy.no_peer", peer=peer, known=", ".join(peers_of(config))))
    if action not in ACTIONS:
        give_up(words.say("policy.no_action", action=action, known=", ".join(sorted(ACTIONS))))
    return direction


def direction_of(peer: str, config: Config) -> Direction | None:
    """Which way what this peer asks or reports goes."""
    for (_, direction), side in zip(SIDES, (config.outer, config.inner), strict=True):
        if any(each.id == peer for _, each in side.peers()):
            return direction
    return None


def peers_of(config: Config) -> list[str]:
    return [str(peer.id) for side in (config.outer, config.inner) for _, peer in side.peers()]


def key_of(channel: str, config: Config, catalogs: Catalogs, words: Words) -> ChannelId:
    """The channel that is meant: peer and name, or a name that the kept catalogs have once."""
    if "/" not in channel:
        peers = catalogs.peers_with(channel)
        if len(peers) != 1:
            give_up(words.say("policy.which_peer", channel=channel, count=len(peers)))
        channel = f"{peers[0]}/{channel}"
    key = channel_of(channel, sorted(peers_of(config), key=len, reverse=True))
    if key is None:
        give_up(words.say("policy.no_channel", channel=channel))
    return key


def tickets_of(config: Config, words: Words) -> list[Ticket]:
    """Those that count now."""
    try:
        found = granted(Path(config.gateway.state))
    except TicketsUnusable as error:
        give_up(words.render(error.said))
    return [ticket for ticket in found if ticket.counts(time.time())]


def give_up(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(2)
