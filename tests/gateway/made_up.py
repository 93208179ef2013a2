"""A command that nobody has heard of, played over every link; run in an interpreter of its own.

`python -m tests.gateway.made_up` prints what was found as JSON. Its two parts are all that is written: a
file beside those of `cascade.model.commands`, and a table of its wire form. Both must be there before the
gateway is imported, as they would be, so nothing here may be imported at the top that imports it.
"""

import asyncio
import dataclasses
import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, Final

MODEL: Final = '''
from typing import ClassVar

from cascade.model.commands import Control
from cascade.model.ids import ChannelId
from cascade.model.secret import Secret


class ControlGate(Control, frozen=True):
    """Open the gate beside a camera for a while; `lit` is another camera, which sees it."""

    action: ClassVar[str] = "control.gate"

    lit: ChannelId
    code: Secret
    seconds: int
'''

CODE: Final = "open sesame 4711"
ODD: Final = "440106000013209001"
"""18 digits: uppers are shown another id."""


def add() -> None:
    """The command, in its two parts."""
    from cascade.manscdp import device_control
    from cascade.manscdp.wire import CHANNEL, NUMBER, Converter, Element, Wire
    from cascade.model import commands
    from cascade.model.secret import Secret

    folder = tempfile.mkdtemp()
    Path(folder, "gate.py").write_text(MODEL)
    commands.__path__.append(folder)
    kind: Any = import_module(f"{commands.__name__}.gate").ControlGate

    secret = Converter(lambda text, names: Secret(text), lambda value, names: value.reveal())
    device_control.OPERATIONS["GateCmd"] = Wire(
        kind,
        root="Control",
        cmd_type="DeviceControl",
        elements=(
            Element("DeviceID", "target", CHANNEL, required=True),
            Element("GateCmd", "seconds", NUMBER, required=True),
            Element("DeviceID2", "lit", CHANNEL, required=True),
            Element("Code", "code", secret, required=True),
        ),
    )


async def play(name: str) -> dict[str, Any]:
    """Open the gate once; once more with a camera beside it that the rules keep."""
    from interop.demo.cast import KEPT_BRANCH
    from tests.gateway import world as worlds
    from tests.gateway.test_refusals import tell

    made = worlds.sample(8)
    first, *others = made.cameras
    tree = dataclasses.replace(made, cameras=(dataclasses.replace(first, id=ODD), *others))
    worlds.sample = lambda cameras, speakers=0: tree
    rules = """[[rule]]
id = "gates-but-seen-from"
direction = "outward"
action = "control.gate"
channels = ["id:UNLIT"]
verdict = "deny"

[[rule]]
id = "gates"
direction = "outward"
action = "control.gate"
channels = ["*"]
verdict = "allow"

"""
    _, target, unlit, *_ = (camera.id for camera in tree.cameras if camera.parent != KEPT_BRANCH)
    written = worlds.text().replace("[[rule]]", rules.replace("UNLIT", unlit) + "[[rule]]", 1)
    async with worlds.world(worlds.LINKS[name], written=written) as here:
        await here.shown()
        known = {camera.id for camera in tree.cameras}
        (shown,) = {each for each in (await here.upper.catalog()).channels() if each not in known}
        wire = worlds.Wire(here.network)
        statuses = [await tell(here, gate(target, lit)) for lit in (shown, unlit, "44010600001329999999")]
        await asyncio.sleep(2.0)
        return {
            "shown": shown,
            "target": target,
            "statuses": statuses,
            "below": wire.between(worlds.OUTER, worlds.LOWER, "MESSAGE"),
            "records": {
                side: [record for record in here.audit(side) if record.get("action") == "control.gate"]
                for side in ("inner", "outer")
            },
            "files": "".join((here.folder / f"{side}.jsonl").read_text() for side in ("inner", "outer")),
            "whole": here.trails_whole(),
        }


def gate(target: str, lit: str) -> bytes:
    from tests.gateway.test_refusals import body

    return body(target, f"<GateCmd>30</GateCmd><DeviceID2>{lit}</DeviceID2><Code>{CODE}</Code>")


def main() -> None:
    add()
    from gateway import log
    from gateway.chamber import codec
    from gateway.config_checks import ACTIONS
    from tests.clock import run

    assert "ControlGate" in {kind.__name__ for kind in codec.payloads()}
    assert "control.gate" in ACTIONS
    log.setup("debug", "json")
    json.dump({name: run(play(name)) for name in sys.argv[1:]}, sys.stdout)


if __name__ == "__main__":
    main()
