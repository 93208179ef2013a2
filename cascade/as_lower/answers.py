"""Answers to an upper: about ourselves, for a device, and in the place of one that says nothing (9.5, Q101).

Pure: what is sent to whom is the face's business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from cascade.manscdp import broadcast, device_info, device_status
from cascade.model.commands import Command
from cascade.model.commands.broadcast import AskBroadcast, Broadcast
from cascade.model.commands.device_info import AskDeviceInfo, DeviceInfo
from cascade.model.commands.device_status import AskDeviceStatus, DeviceStatus
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.peers import Us

BEIJING: Final = timezone(timedelta(hours=8))

FIRMWARE: Final = "0.1.0"

QUESTIONS: Final[dict[str, type[AskDeviceInfo] | type[AskDeviceStatus]]] = {
    "DeviceInfo": AskDeviceInfo,
    "DeviceStatus": AskDeviceStatus,
}
"""Queries that have an answer of their own; Catalog is answered from the index."""


@dataclass(frozen=True, slots=True)
class ShownAs:
    """The names of one answer: whatever it is about, the upper asked for it under this id."""

    shown: str

    def key(self, name: PeerName) -> ChannelId:
        raise ValueError(f"{name} is not read here")

    def name(self, channel: ChannelId) -> str:
        return self.shown


def is_device(shown: str) -> bool:
    """Does an id name something that can do anything? Areas, systems and groups have only catalogs."""
    return len(shown) == 20 and shown[10:13] not in {"200", "215", "216"}


@dataclass(frozen=True, slots=True)
class AskedAs:
    """The names of one request whose head was read: that of its target, and what else may stand beside it."""

    shown: str
    channel: ChannelId
    resolve: Callable[[str], ChannelId | None]

    def key(self, name: PeerName) -> ChannelId:
        if name == self.shown:
            return self.channel
        other = self.resolve(name)
        if other is None:
            raise ValueError(f"{name} is nothing that it was shown")
        return other

    def name(self, channel: ChannelId) -> str:
        raise ValueError(f"{channel} is not written here")


def answer_body(payload: Command, *, sn: str, shown: str, charset: str) -> bytes | None:
    """The Response under the upper's `sn` and the id it asked for; None for what is no such answer."""
    names = ShownAs(shown)
    match payload:
        case DeviceInfo():
            return device_info.ANSWER.write(payload, sn=sn, names=names, charset=charset)
        case DeviceStatus():
            return device_status.ANSWER.write(payload, sn=sn, names=names, charset=charset)
        case Broadcast():
            return broadcast.ANSWER.write(payload, sn=sn, names=names, charset=charset)
        case _:
            return None


def ourselves(us: Us) -> ChannelId:
    """Our own id as a target."""
    return ChannelId(PlatformId(us.id.digits), PeerName(us.id.digits))


def about_us(question: Command, us: Us, *, shared: int, wall: float) -> Command | None:
    """Our answer to a question about our own id; None for one we have no answer to.

    `shared` is the number of rows this upper may see, `wall` seconds since 1970.
    """
    match question:
        case AskDeviceInfo(target=target):
            return DeviceInfo(
                target=target,
                result="ok",
                name=us.name,
                manufacturer=us.manufacturer,
                model=us.model,
                firmware=FIRMWARE,
                channels=shared,
            )
        case AskDeviceStatus(target=target):
            time = datetime.fromtimestamp(wall, BEIJING).replace(tzinfo=None)
            return DeviceStatus(
                target=target,
                result="ok",
                online=True,
                working=True,
                device_time=time.isoformat(timespec="seconds"),
            )
        case _:
            return None


def no_answer(question: Command) -> Command | None:
    """The failure form of the answer, for a device that was silent or out of reach (6.5)."""
    match question:
        case AskDeviceInfo(target=target):
            return DeviceInfo(target=target, result="error")
        case AskDeviceStatus(target=target):
            return DeviceStatus(target=target, result="error")
        case AskBroadcast(target=target):
            return Broadcast(target=target, result="error")
        case _:
            return None
