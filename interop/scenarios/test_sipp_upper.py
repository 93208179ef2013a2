"""An upper platform that is not ours: sipp, from a scenario file (interop/peers/sipp)."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGUSR1

from interop.scenarios.capture import bodies, capturing, fields, judge, sent_to
from interop.scenarios.sipp import sipp
from interop.scenarios.stage import (
    INNER_ID,
    KEPT,
    LOWER_ID,
    UPPER_ID,
    cast,
    lockgate,
    lower_platform,
)
from interop.sim import xml
from interop.sim.catalog import sample_tree
from interop.sim.net import Address, RealNet
from interop.sim.rtp import Frame, Receiver

SSRC = "0000000007"
TREE = sample_tree(LOWER_ID, "天河区平台", 6, branches=("道路", "学校"))
CAMERA = TREE.cameras[0]
SHARED = len(TREE.items(LOWER_ID) or ()) - 1
SN = "17430"
"""Of the platform's catalog query; with `SSRC` it stands in the scenario file."""


async def test_an_upper_platform_of_raw_bytes_is_registered_at_answered_and_served(tmp_path: Path) -> None:
    people = cast()
    folder, capture = tmp_path / "sipp", tmp_path / "wire.pcapng"
    folder.mkdir()
    receiver = Receiver(int(SSRC))
    frames: list[Frame] = []

    def receive(datagram: bytes, source: Address) -> None:
        assert source[0] == people.inner
        frames.extend(receiver.feed(datagram))

    port = RealNet().datagrams((people.upper, 0), receive)
    keys = {
        "my_id": UPPER_ID,
        "my_domain": UPPER_ID[:10],
        "peer_id": INNER_ID,
        "peer_domain": INNER_ID[:10],
        "camera": CAMERA.id,
        "kept": KEPT,
        "rtp_port": str(port.address[1]),
    }
    with ThreadPoolExecutor(2) as workers:
        async with lockgate(tmp_path, people) as gateway, lower_platform(people, TREE, workers) as lower:
            await gateway.crossed("inner", lambda record: record.get("rows_passed") == SHARED)
            with capturing(capture, people.hosts):  # not what it sent to nobody before
                async with sipp(
                    folder, "-sf", "upper.xml", host=people.upper, gateway=people.inner, keys=keys
                ) as upper:
                    await gateway.crossed("inner", lambda record: record.get("action") == "stream.ended")
                    refused = await gateway.crossed(
                        "inner", lambda record: record.get("action") == "control.ptz"
                    )
                    await gateway.settled(people)
                    await gateway.stopped()
                    assert await upper.stop(SIGUSR1) == 0, upper.told()
            (sent,) = lower.platform.records()
    port.close()
    assert (refused["verdict"], refused["door"]) == ("refused", "send")
    assert not (folder / "errors.log").exists()
    assert receiver.lost_count == receiver.foreign == 0
    assert {frame.running for frame in frames} <= {*sent.running.values()}
    assert frames[-1].running == sent.running[frames[-1].timestamp]

    judge(capture, sent_to(people.hosts), sip=40, sdp=4, rtp=len(frames))
    pages = [page for page in map(xml.read, bodies(capture, f"ip.dst == {people.upper}")) if page]
    shown = {item["DeviceID"]: item["Name"] for page in pages if page.sn == SN for item in xml.items(page)}
    names = {camera.id: camera.name for camera in TREE.cameras if camera.id != KEPT}
    assert shown | names == shown
    assert KEPT not in shown
    assert [page for page in pages if page.cmd_type == "Keepalive"]
    answers = fields(
        capture,
        f'sip.CSeq.method == "INVITE" && sip.Status-Code >= 200 && ip.dst == {people.upper}',
        "sip.Status-Code",
    )
    assert answers == [["404"], ["200"]]
