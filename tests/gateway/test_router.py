"""Who is above and below us at once is taken for what it says (Q98)."""

import pytest

from cascade.manscdp import heads
from gateway.side.router import _from_above


def body(root: str, command: str) -> bytes:
    text = f"<{root}><CmdType>{command}</CmdType><SN>1</SN><DeviceID>44010600002000000001</DeviceID></{root}>"
    return f'<?xml version="1.0"?>{text}'.encode()


@pytest.mark.parametrize(
    ("root", "command", "above"),
    [
        ("Query", "Catalog", True),
        ("Control", "DeviceControl", True),
        ("Notify", "Broadcast", True),
        ("Notify", "Keepalive", False),
        ("Notify", "MobilePosition", False),
        ("Response", "Catalog", False),
        ("Response", "Broadcast", False),
    ],
)
def test_what_only_uppers_say_is_said_from_above(root: str, command: str, above: bool) -> None:
    (head,) = heads([body(root, command)])
    assert head is not None
    assert _from_above(head) is above
