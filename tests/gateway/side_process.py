"""One side as a process of its own: `side_process.py SIDE CONFIG FD`, the link on descriptor FD.

Says `ready` on standard output once it serves, and ends on SIGTERM.
"""

import asyncio
import signal
import socket
import sys
from pathlib import Path

from gateway import config
from gateway.app import SideName, open_side, real_surroundings
from gateway.chamber.link.stream import open_stream


async def main(name: str, file: Path, descriptor: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    written = config.load(file)
    secrets = config.load_secrets(Path(written.gateway.secrets))
    link = await open_stream(socket.socket(fileno=descriptor))
    side: SideName = "outer" if name == "outer" else "inner"
    passwords = secrets.outer if side == "outer" else secrets.inner
    async with real_surroundings(written) as around, open_side(side, written, passwords, link, around):
        print("ready", flush=True)
        await stop.wait()
    link.close("stopping")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
