"""Whole exchanges with platforms by hand, as tests/sip/vectors/flows.toml writes them."""

import asyncio
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from interop.sim.sending import Behaviour
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.bodies import CAMERAS, answer
from tests.gateway.by_hand import Hand, HandLower, HandUpper, Heard, above, below
from tests.gateway.packets import stream
from tests.gateway.world import UPPER_ID, Link, World

FLOWS = tomllib.loads((Path(__file__).parent.parent / "sip" / "vectors" / "flows.toml").read_text())


@pytest.mark.parametrize("name", FLOWS)
def test_exchanges_go_as_the_vector_says(link: Link, name: str) -> None:
    flow = FLOWS[name]

    async def scenario() -> None:
        if flow["side"] == "above":
            async with above(link) as (here, upper):
                here.lower.senders.behaviours[here.shared()[0]] = Behaviour(
                    answer_seconds=flow.get("camera_seconds", 0.0)
                )
                looks(flow, await Inviting(here, upper).go(flow["steps"]))
        else:
            async with below(link) as (here, lower):
                looks(flow, await Invited(here, lower, flow["viewer"]).go(flow["steps"]))

    run(scenario())


def looks(flow: dict[str, Any], came: dict[str, Heard]) -> None:
    """What came holds the lines of the flow."""
    if "lines" not in flow:
        return
    lines = came[flow["of"]].raw.decode().split("\r\n")
    for pattern in flow["lines"]:
        assert any(fnmatchcase(line, pattern) for line in lines), pattern


class Exchange:
    """Takes the steps one after the other. What came last is kept by what it was."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.came: dict[str, Heard] = {}

    async def go(self, steps: list[str]) -> dict[str, Heard]:
        named = {">": "say", "<": "hear"}
        for step in steps:
            what, *words = step.split()
            await getattr(self, named.get(what, what))(words)
        await self.over()
        return self.came

    async def hear(self, words: list[str]) -> None:
        """The next of that kind; copies of what was heard already are passed over."""
        known = {heard.raw for heard in self.came.values()}

        def fits(heard: Heard) -> bool:
            return heard.raw not in known and heard.header("CSeq").endswith(words[-1])

        start = f"SIP/2.0 {words[0]}" if words[0].isdigit() else words[0]
        self.came[" ".join(words)] = await self.hand.wait(start, fits, seconds=50.0)

    async def wait(self, words: list[str]) -> None:
        await asyncio.sleep(float(words[0]))

    async def say(self, words: list[str]) -> None:
        raise NotImplementedError

    async def over(self) -> None:
        """Whatever must hold at the end."""


class Inviting(Exchange):
    """An upper platform that invites the first shared camera."""

    def __init__(self, here: World, upper: HandUpper) -> None:
        super().__init__(upper)
        self.upper = upper
        self.upper.answered.discard("BYE")
        self.channel = here.shared()[0]
        self.invite = upper.invite(self.channel, call_id="flow", branch="z9hG4bKflow")

    async def say(self, words: list[str]) -> None:
        match words:
            case ["INVITE"]:
                self.upper.send(self.invite)
            case ["CANCEL"]:
                cancel = self.invite.replace(b"INVITE sip:", b"CANCEL sip:").replace(b"1 INVITE", b"1 CANCEL")
                self.upper.send(cancel.partition(b"Contact:")[0] + b"Content-Length: 0\r\n\r\n")
            case ["BYE", "early"]:
                self.upper.send(self.upper.request("BYE", self.channel, me=UPPER_ID, call_id="flow", cseq=2))
            case [method] if not method.isdigit():
                final = self.came.get("200 INVITE") or self.came["487 INVITE"]
                cseq = 1 if method == "ACK" else 2
                self.upper.send(self.upper.within(self.invite, final, method, cseq=cseq))
            case [status, method]:
                self.upper.reply(self.came[method], f"{status} OK")


class Invited(Exchange):
    """A lower platform that is invited for a viewer, who comes at the start and with "come"."""

    def __init__(self, here: World, lower: HandLower, viewer: str) -> None:
        super().__init__(lower)
        self.here = here
        self.lower = lower
        self.viewer = viewer
        self.leaving = asyncio.Event()
        self.outcomes: list[str] = []
        self.watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        try:
            async with self.here.upper.play(CAMERAS[0]):
                self.outcomes.append("200")
                await self.leaving.wait()
        except PlayRefused as refused:
            self.outcomes.append(str(refused.status))

    async def leave(self, _words: list[str]) -> None:
        self.leaving.set()
        await self.watching

    async def come(self, _words: list[str]) -> None:
        self.leaving = asyncio.Event()
        self.watching = asyncio.ensure_future(self._watch())

    async def deaf(self, words: list[str]) -> None:
        """Leave such requests to the steps from now on."""
        self.lower.answered.discard(words[0])

    async def media(self, words: list[str]) -> None:
        with stream(self.here, self.came["INVITE"]) as sent:
            await sent.run(int(words[0]))

    async def say(self, words: list[str]) -> None:
        match words:
            case ["200", "INVITE", *bare]:
                contact = None if bare else ""
                self.lower.reply(self.came["INVITE"], "200 OK", contact=contact, body=answer())
            case [status, method]:
                self.lower.reply(self.came[method], f"{status} As Written")

    async def over(self) -> None:
        self.leaving.set()
        await self.watching
        assert self.outcomes[-1] == self.viewer
