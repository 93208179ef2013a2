"""baresip with the configuration of interop/peers/baresip, ruled over its control connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from interop.scenarios.programs import PATIENCE, Program, running
from interop.scenarios.stage import SIP

CONFIG: Final = Path(__file__).parents[1] / "peers" / "baresip" / "config"
CONTROL: Final = 4444
MODULES: Final = ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules")


class Softphone:
    """One baresip. Events come in their order; each is looked at once."""

    def __init__(self, program: Program, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.program = program
        self._reader = reader
        self._writer = writer

    def do(self, command: str, words: str = "") -> None:
        data = json.dumps({"command": command, "params": words}).encode()
        self._writer.write(b"%d:%s," % (len(data), data))

    async def event(self, kind: str) -> str:
        """What the next event of that kind says."""
        async with asyncio.timeout(PATIENCE):
            while True:
                said = await self._next()
                if said.get("type") == kind:
                    return str(said.get("param", ""))

    async def _next(self) -> dict[str, Any]:
        length = await self._reader.readuntil(b":")
        data = await self._reader.readexactly(int(length[:-1]) + 1)
        said: dict[str, Any] = json.loads(data[:-1])
        return said


@asynccontextmanager
async def softphone(
    folder: Path, *, host: str, user: str, password: str, gateway: str, gateway_id: str, registers: bool
) -> AsyncIterator[Softphone]:
    """Start it at `host`; its one contact, whose presence it asks for, is the gateway.

    The account is made last, so that no event of its registration is missed.
    """
    _prepare(folder, host, f'"lock" <sip:{gateway_id}@{gateway}>;presence=p2p\n')
    async with running("baresip", ["baresip", "-f", str(folder)], folder) as program:
        await program.line(lambda line: "baresip is ready" in line)
        reader, writer = await asyncio.open_connection(host, CONTROL)
        phone = Softphone(program, reader, writer)
        account = f'<sip:{user}@{user[:10]}>;outbound="sip:{gateway}:{SIP}";auth_pass={password}'
        phone.do("uanew", f"{account};regint={3600 if registers else 0}")
        try:
            yield phone
        finally:
            writer.close()


def _prepare(folder: Path, host: str, contacts: str) -> None:
    """Its files."""
    folder.mkdir()
    modules = next(path for path in MODULES if Path(path).is_dir())
    (folder / "config").write_text(CONFIG.read_text().replace("HOST", host).replace("MODULES", modules))
    (folder / "accounts").write_text("# made over the control connection\n")
    (folder / "contacts").write_text(contacts)
