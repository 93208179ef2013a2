"""The demo with a lower platform that is not ours: sipp, from scenario files with raw bytes."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interop.demo.cast import INNER_ID
from interop.demo.judging import ALARMS, VOICE, Expected
from interop.demo.scene import gateway_between, upper_platform
from interop.scenarios.capture import bodies, capturing, fields, judge, sent_to
from interop.scenarios.probe import probe
from interop.scenarios.programs import until
from interop.scenarios.sipp_below import TREE, sipp_below
from interop.scenarios.stage import PASSWORD, SIP, people, play_through
from interop.sim import xml

EXPECTED = Expected(cameras=4, shared=3, plays=1, without=frozenset({"delay", *VOICE, *ALARMS}))
"""A film that was made before can't say when it was filmed, and this platform has no loudspeaker."""


async def test_the_demos_checks_pass_with_a_lower_platform_of_raw_bytes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here, capture = people(), tmp_path / "wire.pcapng"
    caplog.set_level(logging.INFO)
    written, secrets = here.configure(tmp_path)
    with capturing(capture, here.hosts), ThreadPoolExecutor(2) as workers:
        async with (
            upper_platform((here.upper, SIP), PASSWORD, workers) as upper,
            sipp_below(tmp_path / "sipp", here) as lower,
            gateway_between(written, secrets, lower, upper, TREE, live=False) as scene,
        ):
            play = await play_through(scene, tmp_path)
            assert await lower.program.ended() == 0, (lower.folder / "errors.log").read_text()
            await until(
                lambda: any("removed" in str(record.__dict__.get("first")) for record in caplog.records)
            )
            shown = await upper.catalog(INNER_ID)
    report = play.judged(scene.audits, EXPECTED)
    assert report.problems == []
    assert report.not_checked == ["delay", *VOICE, *ALARMS]
    assert report.delay_ms == report.spoken == "not measured"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    (stream,) = report.streams
    assert probe(tmp_path / f"camera-{stream.channel}.ps") == lower.film.frames_sent
    names = {camera.id: camera.name for camera in TREE.cameras if camera.id in scene.cameras()}
    assert {item["DeviceID"]: item["Name"] for item in shown.items if item["DeviceID"] in names} == names

    judge(capture, sent_to(here.hosts), sip=30, sdp=4, rtp=lower.film.packets_sent)
    below = f'sip.Method == "MESSAGE" && ip.src == {here.lower}'
    pages = [page for page in map(xml.read, bodies(capture, below)) if page and page.cmd_type == "Catalog"]
    assert [(page.text("SumNum"), len([*xml.items(page)])) for page in pages] == [("8", 5), ("8", 3)]
    assert len({page.sn for page in pages}) == 1
    asked = fields(
        capture, f'sip.Method == "REGISTER" && ip.src == {here.lower}', "sip.CSeq.seq", "sip.Expires"
    )
    assert {(number, expires) for number, expires in asked} == {
        ("1", "3600"),
        ("2", "3600"),
        ("3", "0"),
        ("4", "0"),
    }
