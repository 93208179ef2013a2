"""What a device or platform says about itself (GB/T 28181-2016 annex A.2.4.4, A.2.6.6)."""

from typing import ClassVar, Literal

from cascade.model.commands import Command
from cascade.model.ids import ChannelId


class AskDeviceInfo(Command, frozen=True):
    action: ClassVar[str] = "query.device-info"

    target: ChannelId


class DeviceInfo(Command, frozen=True):
    action: ClassVar[str] = "query.device-info"

    target: ChannelId
    result: Literal["ok", "error"]
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    channels: int | None = None  # video inputs; None where the device did not say
