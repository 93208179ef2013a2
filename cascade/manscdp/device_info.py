"""DeviceInfo on the wire: the question and the answer (GB/T 28181-2016 A.2.4.4, A.2.6.6)."""

from typing import Final

from cascade.manscdp.wire import CHANNEL, NUMBER, RESULT, TEXT, Element, Wire
from cascade.model.commands.device_info import AskDeviceInfo, DeviceInfo

QUESTION: Final = Wire(
    AskDeviceInfo,
    root="Query",
    cmd_type="DeviceInfo",
    elements=(Element("DeviceID", "target", CHANNEL, required=True),),
)

ANSWER: Final = Wire(
    DeviceInfo,
    root="Response",
    cmd_type="DeviceInfo",
    elements=(
        Element("DeviceID", "target", CHANNEL, required=True),
        Element("DeviceName", "name", TEXT),
        Element("Result", "result", RESULT, required=True),
        Element("Manufacturer", "manufacturer", TEXT),
        Element("Model", "model", TEXT),
        Element("Firmware", "firmware", TEXT),
        Element("Channel", "channels", NUMBER),
    ),
)
