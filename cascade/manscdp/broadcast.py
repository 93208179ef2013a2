"""Broadcast on the wire: the announcement and the answer (GB/T 28181-2016 annex A.2.5, A.2.6).

The announcement names two: who speaks (`SourceID`) and who is to listen (`TargetID`). It is read by
its head alone. Only the second crosses, so each side puts its own speaker into what it writes.
"""

from typing import Final, Literal

from cascade.errors import BadCommand
from cascade.manscdp import xml
from cascade.manscdp.wire import CHANNEL, RESULT, Element, Names, Wire
from cascade.model.commands.broadcast import AskBroadcast, Broadcast
from cascade.model.ids import ChannelId

CMD_TYPE: Final = "Broadcast"

ANSWER: Final = Wire(
    Broadcast,
    root="Response",
    cmd_type=CMD_TYPE,
    elements=(
        Element("DeviceID", "target", CHANNEL, required=True),
        Element("Result", "result", RESULT, required=True),
    ),
)
"""As it is written; `read_answer` is more tolerant."""


def write(ask: AskBroadcast, *, source: str, sn: int | str, names: Names, charset: str = "GB2312") -> bytes:
    """A Notify of Broadcast in which `source` speaks.

    Raises:
        ValueError: `names` has none for the target, or we don't write that charset.
    """
    parts = [
        xml.element("CmdType", CMD_TYPE),
        xml.element("SN", str(sn)),
        xml.element("SourceID", source),
        xml.element("TargetID", names.name(ask.target)),
    ]
    return xml.write("Notify", parts, charset=charset)


def read_answer(body: bytes, target: ChannelId) -> Broadcast:
    """What `target` answered, whoever it says it is: some name the device, some nobody (5.11).

    Raises:
        BadCommand: not such an answer, or neither OK nor ERROR.
    """
    root = xml.read_root(body)
    if xml.local_name(root) != "response" or xml.text_of(root, "CmdType") != CMD_TYPE:
        raise BadCommand(f"not a Response of {CMD_TYPE}")
    result = xml.text_of(root, "Result").upper()
    results: dict[str, Literal["ok", "error"]] = {"OK": "ok", "ERROR": "error"}
    if result not in results:
        raise BadCommand(f"Result: not OK or ERROR: {result[:32]!r}")
    return Broadcast(target=target, result=results[result])
