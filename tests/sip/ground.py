"""Two ends on a virtual network, and a third that says what the test writes: for tests of `sip`."""

import asyncio
import re
from typing import Final

from sip.endpoint import Endpoint, Party
from sip.events import Address
from tests.sip.network import Network, VirtualStack

REALM: Final = "4401000000"
GATEWAY: Final = Party("44010000002000000001", REALM)
CAMERA: Final = Party("44010600001320000001", "4401060000")
AT_GATEWAY: Final[Address] = ("203.0.113.20", 5060)
AT_CAMERA: Final[Address] = ("203.0.113.50", 5060)


def endpoint(network: Network, me: Party, at: Address) -> tuple[Endpoint, VirtualStack]:
    stack = network.stack(at, REALM)
    end = Endpoint(stack, me)
    stack.attach(end)
    return end, stack


def both(network: Network) -> tuple[Endpoint, Endpoint]:
    """The gateway's end and the camera's."""
    return endpoint(network, GATEWAY, AT_GATEWAY)[0], endpoint(network, CAMERA, AT_CAMERA)[0]


class Wire:
    """What was sent, as (time, first line, text), in order."""

    def __init__(self, network: Network) -> None:
        self.sent: list[tuple[float, str, str]] = []
        network.taps.append(self._note)

    def _note(self, at: float, payload: bytes, source: Address, destination: Address, arrives: bool) -> None:
        text = payload.decode("utf-8", "replace")
        self.sent.append((at, text.partition("\r\n")[0], text))

    def lines(self) -> list[str]:
        """Methods of requests, status and CSeq method of responses: `INVITE`, `200 BYE`."""
        return [_short(line, text) for _, line, text in self.sent]

    def texts(self, what: str) -> list[str]:
        return [text for _, line, text in self.sent if _short(line, text) == what]


def _short(line: str, text: str) -> str:
    words = line.split()
    if words[0] == "SIP/2.0":
        return f"{words[1]} {header(text, 'CSeq').split()[1]}"
    return words[0]


def header(text: str, name: str) -> str:
    """The first value of a header in a message that we wrote ourselves, "" if it is absent."""
    found = re.search(rf"^{re.escape(name)}\s*:\s*(.*?)\r?$", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def every(text: str, name: str) -> list[str]:
    return re.findall(rf"^{re.escape(name)}\s*:\s*(.*?)\r?$", text, re.MULTILINE | re.IGNORECASE)


class Puppet:
    """A peer without any stack: it hears texts, and says what the test lets it say."""

    def __init__(self, network: Network, at: Address = AT_CAMERA) -> None:
        self.heard: list[str] = []
        self._port = network.datagrams(at, self._hear)
        self._news = asyncio.Event()
        self.at = at

    def _hear(self, payload: bytes, source: Address) -> None:
        text = payload.decode("utf-8", "replace")
        self.heard.append(text)
        self._news.set()

    async def expect(self, method: str) -> str:
        """Wait for the first message that begins so, and take it out of what was heard."""
        while True:
            for text in self.heard:
                if text.startswith(method):
                    self.heard.remove(text)
                    return text
            self._news.clear()
            await self._news.wait()

    def say(self, text: str, to: Address = AT_GATEWAY) -> None:
        self._port.send(text.replace("\n", "\r\n").encode(), to)

    def answer(
        self, request: str, status: str, *, tag: str = "n1", headers: str = "", to: Address = AT_GATEWAY
    ) -> None:
        """Answer with Via, From, To, Call-ID and CSeq copied. `headers` are whole lines."""
        to_header = header(request, "To")
        if tag and "tag=" not in to_header:
            to_header += f";tag={tag}"
        vias = "".join(f"Via: {via}\n" for via in every(request, "Via"))
        self.say(
            f"SIP/2.0 {status}\n{vias}From: {header(request, 'From')}\nTo: {to_header}\n"
            f"Call-ID: {header(request, 'Call-ID')}\nCSeq: {header(request, 'CSeq')}\n{headers}"
            "Content-Length: 0\n\n",
            to,
        )

    def close(self) -> None:
        self._port.close()
