"""One side as a process of its own: `side_process.py SIDE CONFIG FD`.

On descriptor FD, a socket, come the descriptors of its links to the other side, one after the other.
Says `ready` on standard output once it serves, and ends on SIGTERM.
"""

import asyncio
import signal
import socket
import sys
from pathlib import Path

from gateway import config
from gateway.app import SideName, open_side, real_surroundings
from gateway.chamber.link.rejoining import RejoiningEnd
from gateway.chamber.link.stream import open_stream


async def join_each(control: socket.socket, link: RejoiningEnd) -> None:
    """Go on over each link that is handed in, until none will be any more."""
    loop = asyncio.get_running_loop()
    while True:
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(control, readable.set_result, None)
        await readable
        loop.remove_reader(control)
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        end = await open_stream(socket.socket(fileno=descriptors[0]))
        link.join(end)
        end.closed.add_done_callback(lambda _, end=end: link.part(end))  # type: ignore[misc]


async def main(name: str, file: Path, descriptor: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    written = config.load(file)
    secrets = config.load_secrets(Path(written.gateway.secrets))
    control = socket.socket(fileno=descriptor)
    link = RejoiningEnd()
    side: SideName = "outer" if name == "outer" else "inner"
    passwords = secrets.outer if side == "outer" else secrets.inner
    async with (
        real_surroundings(written) as around,
        open_side(side, written, passwords, link, around) as here,
    ):
        link.on_linked = here.linked
        joining = asyncio.create_task(join_each(control, link))
        print("ready", flush=True)
        await stop.wait()
        joining.cancel()
    control.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
