"""A lower platform that is not ours: sipp, from scenario files with raw bytes (interop/peers/sipp)."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from interop.scenarios.capture import bodies, capturing, fields, judge, sent_to
from interop.scenarios.probe import probe
from interop.scenarios.programs import until
from interop.scenarios.sipp import sipp
from interop.scenarios.stage import (
    INNER_ID,
    LOWER_ID,
    OUTER_ID,
    cast,
    catalog,
    lockgate,
    upper_platform,
)
from interop.scenarios.stream_file import write_stream
from interop.sim import xml
from interop.sim.camera import CameraSpec

SERVER = f"{OUTER_ID}@{OUTER_ID[:10]}"
SSRC = "0106000007"
"""Of the lower platform's own choice, not the one it is offered."""

CAMERA = CameraSpec("44010600001320000001", "east gate", 1)
NAMES = {
    "44010600001320000001": "天河路口东",
    "44010600001320000002": "誠信大厦北门",
    "44010600001320000004": "喆园小区嶽麓厅",
}
"""The first in GB 2312, the others beyond it, with trail bytes that are ASCII brackets and backslashes."""

KEYS = {
    "my_id": LOWER_ID,
    "my_domain": LOWER_ID[:10],
    "server_id": OUTER_ID,
    "server_domain": OUTER_ID[:10],
    "ssrc": SSRC,
}
SCENARIOS = ("-sf", "lower.xml", "-oocsf", "lower_asked.xml", "-m", "1", "-auth_uri", SERVER)


async def test_a_lower_platform_of_raw_bytes_is_shared_played_and_left(tmp_path: Path) -> None:
    people = cast()
    folder, capture, recording = tmp_path / "sipp", tmp_path / "wire.pcapng", tmp_path / "seen.ps"
    folder.mkdir()
    sent = write_stream(folder / "stream.pcap", CAMERA, ssrc=int(SSRC), seconds=3)
    with capturing(capture, people.hosts), ThreadPoolExecutor(2) as workers:
        async with upper_platform(people, workers) as upper, lockgate(tmp_path, people) as gateway:
            await upper.wait_registered(INNER_ID)
            async with sipp(folder, *SCENARIOS, host=people.lower, gateway=people.outer, keys=KEYS) as lower:
                shown = await catalog(upper, len(NAMES))
                async with upper.play(CAMERA.id, camera=CAMERA.number, recording=recording) as playing:
                    await playing.reached(sent.packets)
                    seen = await playing.finish()
                assert await lower.ended() == 0, (folder / "errors.log").read_text()
            await gateway.settled(people)
            await until(lambda: any("removed" in str(event) for event in gateway.events("peers.changed")))
            await gateway.stopped()
    assert {item["DeviceID"]: item["Name"] for item in shown.items if item["DeviceID"] in NAMES} == NAMES
    assert (seen.packets_received, seen.sha256) == (sent.packets, sent.sha256)
    assert seen.frames_decoded == probe(recording) == sent.frames

    judge(capture, sent_to(people.hosts), sip=30, sdp=4, rtp=sent.packets)
    below = f'sip.Method == "MESSAGE" && ip.src == {people.lower}'
    pages = [page for page in map(xml.read, bodies(capture, below)) if page and page.cmd_type == "Catalog"]
    assert [(page.text("SumNum"), len([*xml.items(page)])) for page in pages] == [("5", 3), ("5", 2)]
    assert len({page.sn for page in pages}) == 1
    asked = fields(capture, f'sip.Method == "REGISTER" && ip.src == {people.lower}', "sip.Expires")
    assert asked == [["3600"], ["3600"], ["0"], ["0"]]
