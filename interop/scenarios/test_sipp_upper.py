"""The demo with an upper platform that is not ours: sipp, from a scenario file."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interop.demo.cast import KEPT_BRANCH, LOWER_ID
from interop.demo.judging import ALARMS, VOICE, Expected
from interop.demo.scene import gateway_between
from interop.scenarios.capture import bodies, capturing, fields, judge, sent_to
from interop.scenarios.probe import probe
from interop.scenarios.sipp_above import SN, sipp_above
from interop.scenarios.stage import below, people, play_through
from interop.sim import xml
from interop.sim.catalog import sample_tree

TREE = sample_tree(LOWER_ID, "天河区平台", 6, branches=("道路", "学校"))
SHARED = [camera for camera in TREE.cameras if camera.parent != KEPT_BRANCH]
KEPT = [camera for camera in TREE.cameras if camera.parent == KEPT_BRANCH]
EXPECTED = Expected(cameras=6, shared=3, plays=1, without=frozenset((*VOICE, *ALARMS)))
"""This platform does not speak."""


async def test_the_demos_checks_pass_with_an_upper_platform_of_raw_bytes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here, capture, folder = people(), tmp_path / "wire.pcapng", tmp_path / "sipp"
    caplog.set_level(logging.INFO)
    written, secrets = here.configure(tmp_path)
    with capturing(capture, here.hosts), ThreadPoolExecutor(2) as workers:
        async with sipp_above(folder, here, SHARED[0].id, KEPT[0].id, workers) as upper:
            async with (
                below(here, TREE, workers) as lower,
                gateway_between(written, secrets, lower.platform, upper, TREE) as scene,
            ):
                play = await play_through(scene, tmp_path)
                await lower.stop()
            assert await upper.stopped() == 0, upper.program.told()
    report = play.judged(scene.audits, EXPECTED)
    assert report.problems == []
    assert report.not_checked == [*VOICE, *ALARMS]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert not (folder / "errors.log").exists()
    (stream,) = report.streams
    assert probe(tmp_path / f"camera-{stream.channel}.ps") == stream.frames_sent

    judge(capture, sent_to(here.hosts), sip=40, sdp=4, rtp=stream.packets_sent)
    pages = [page for page in map(xml.read, bodies(capture, f"ip.dst == {here.upper}")) if page]
    shown = {item["DeviceID"]: item["Name"] for page in pages if page.sn == SN for item in xml.items(page)}
    assert shown | {camera.id: camera.name for camera in SHARED} == shown
    assert not {camera.id for camera in KEPT} & shown.keys()
    assert [page for page in pages if page.cmd_type == "Keepalive"]
    answers = fields(
        capture,
        f'sip.CSeq.method == "INVITE" && sip.Status-Code >= 200 && ip.dst == {here.upper}',
        "sip.Status-Code",
    )
    assert answers == [["200"], ["404"]]
