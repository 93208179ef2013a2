"""How a device or channel is (GB/T 28181-2016 annex A.2.4.2, A.2.6.4)."""

from typing import ClassVar, Literal

from cascade.model.commands import Command
from cascade.model.ids import ChannelId


class AskDeviceStatus(Command, frozen=True):
    action: ClassVar[str] = "query.device-status"

    target: ChannelId


class DeviceStatus(Command, frozen=True):
    action: ClassVar[str] = "query.device-status"

    target: ChannelId
    result: Literal["ok", "error"]
    online: bool = False
    working: bool = False
    reason: str = ""
    encoding: bool | None = None  # None where the device did not say
    recording: bool | None = None
    device_time: str = ""
