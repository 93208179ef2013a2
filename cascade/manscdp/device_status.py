"""DeviceStatus on the wire: the question and the answer (GB/T 28181-2016 A.2.4.2, A.2.6.4)."""

from typing import Final

from cascade.manscdp.wire import CHANNEL, RESULT, SWITCH, TEXT, Element, Wire, choice
from cascade.model.commands.device_status import AskDeviceStatus, DeviceStatus

QUESTION: Final = Wire(
    AskDeviceStatus,
    root="Query",
    cmd_type="DeviceStatus",
    elements=(Element("DeviceID", "target", CHANNEL, required=True),),
)

ANSWER: Final = Wire(
    DeviceStatus,
    root="Response",
    cmd_type="DeviceStatus",
    elements=(
        Element("DeviceID", "target", CHANNEL, required=True),
        Element("Result", "result", RESULT, required=True),
        # OFFILE is a misprint that devices have copied.
        Element("Online", "online", choice({"ONLINE": True, "OFFLINE": False, "OFFILE": False})),
        Element("Status", "working", choice({"OK": True, "ERROR": False})),
        Element("Reason", "reason", TEXT),
        Element("Encode", "encoding", SWITCH),
        Element("Record", "recording", SWITCH),
        Element("DeviceTime", "device_time", TEXT),
    ),
)
