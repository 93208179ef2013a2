"""sipp as the demo's lower platform: it plays its scenario, and this watches what it logs."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from interop.demo.cast import KEPT_BRANCH, LOWER_ID, OUTER_ID
from interop.scenarios.programs import Program, until
from interop.scenarios.sipp import logged, sipp
from interop.scenarios.stage import People
from interop.scenarios.stream_file import StreamFile, write_stream
from interop.sim.camera import CameraSpec
from interop.sim.catalog import Branch, Tree

SSRC: Final = "0106000007"
"""Of the lower platform's own choice, not the one it is offered."""

GROUP: Final = Branch("44010600002150000001", "天河区视频")
ROADS: Final = Branch("44010600002160000001", "道路", group=GROUP.id)
SCHOOLS: Final = Branch(KEPT_BRANCH, "学校", group=GROUP.id)

TREE: Final = Tree(
    LOWER_ID,
    "天河区平台",
    (GROUP, ROADS, SCHOOLS),
    (
        CameraSpec("44010600001320000001", "天河路口东", 1, ROADS.id),
        CameraSpec("44010600001320000002", "誠信大厦北门", 2, ROADS.id),
        CameraSpec("44010600001320000003", "实验学校后门", 3, SCHOOLS.id),
        CameraSpec("44010600001320000004", "喆园小区嶽麓厅", 4, ROADS.id),
    ),
)
"""What page1.gbk and page2.gbk say. The second and the fourth name are beyond GB 2312, with trail bytes
that are ASCII brackets and backslashes."""

FILM_SECONDS: Final = 3.0


class SippBelow:
    """As `interop.demo.scene.Lower` wants it. What it sends of its one camera is a film of known length."""

    def __init__(self, program: Program, folder: Path, film: StreamFile) -> None:
        self.program = program
        self.folder = folder
        self.film = film
        self.registered = asyncio.Event()

    async def watch(self) -> None:
        await until(
            lambda: any(one.method == "REGISTER" and one.status == 200 for one in logged(self.folder))
        )
        self.registered.set()

    @property
    def controls(self) -> Sequence[object]:
        """Whatever came that is more than a catalog query; sipp itself would fail of it."""
        asked = (one for one in logged(self.folder) if not one.sent and one.start.startswith("MESSAGE "))
        return [one for one in asked if b"<CmdType>Catalog<" not in one.body]

    async def pause_streams(self) -> Sequence[StreamFile]:
        """Return when the film is over; it began with the ACK."""
        began = await until(
            lambda: [one.moment for one in logged(self.folder) if one.start.startswith("ACK ")]
        )
        await asyncio.sleep(began[0] + self.film.seconds - time.time())
        return (self.film,)


@asynccontextmanager
async def sipp_below(folder: Path, people: People, *, patient: bool = False) -> AsyncIterator[SippBelow]:
    """Run it; it unregisters and ends by itself once its camera has been hung up.

    `patient`: a message that it did not expect, such as one that came twice, does not make it give up.
    """
    film = write_stream(folder / "stream.pcap", TREE.cameras[0], ssrc=int(SSRC), seconds=FILM_SECONDS)
    scenarios = ("-sf", "lower.xml", "-oocsf", "lower_asked.xml", "-m", "1")
    keys = {
        "my_id": LOWER_ID,
        "my_domain": LOWER_ID[:10],
        "server_id": OUTER_ID,
        "server_domain": OUTER_ID[:10],
        "ssrc": SSRC,
    }
    behaviour = ("-default_behaviors", "all,-bye,-abortunexp") if patient else ()
    server = ("-auth_uri", f"{OUTER_ID}@{OUTER_ID[:10]}")
    async with sipp(
        folder, *scenarios, *behaviour, *server, host=people.lower, gateway=people.outer, keys=keys
    ) as program:
        below = SippBelow(program, folder, film)
        watching = asyncio.get_running_loop().create_task(below.watch())
        try:
            yield below
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
