"""The judge over the demo's report: every promise can be broken, and what was not measured is not kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interop.demo.judging import ALARMS, PROMISES, VOICE, Expected, judge
from interop.demo.report import (
    NOT_MEASURED,
    Attempt,
    Delay,
    HostsReport,
    Orphans,
    OutageReport,
    RefusedReport,
    Report,
    RungReport,
    SpokenReport,
    StreamReport,
    read,
)
from interop.demo.telling import summary
from interop.words import Words

CHANNEL = "44010600001320000001"
EXPECTED = Expected(cameras=4, shared=3, plays=1)


SPOKEN = SpokenReport(
    target="44010600001370000001",
    packets_sent=150,
    packets_received=150,
    sha256_sent="cd",
    sha256_received="cd",
    setup_ms=110.0,
    ended_above="left",
    ended_below="bye",
)

OUTAGE = OutageReport(
    cut_seconds=3.0,
    frames_before=25,
    frames_after=25,
    resumed_ms=900.0,
    answered=True,
    played_again=True,
    alarmed=True,
    registered=True,
    linked=True,
    rows_kept=True,
)
NEAR = Attempt(source="outer", target="203.0.113.20", protocol="udp", beyond=False, arrived=True)
FAR = Attempt(source="outer", target="198.51.100.10", protocol="udp", beyond=True)
HOSTS = HostsReport(namespaces=[1, 2, 3, 4], attempts=[NEAR, FAR], outage=OUTAGE)


RUNG = RungReport(
    channel=CHANNEL,
    rung=["one", "two"],
    answered=2,
    heard=["one", "two"],
    crossed_ms=5.0,
    kept=True,
    kept_ms=900.0,
)


def good(picture: Path) -> Report:
    """What a run comes to in which everything held; `picture` is there."""
    picture.write_bytes(b"\x89PNG\r\n")
    stream = StreamReport(
        channel=CHANNEL,
        camera=1,
        frames_sent=75,
        frames_decoded=75,
        frames_wrong=0,
        frames_lost=[],
        packets_sent=90,
        packets_received=90,
        packets_lost=[],
        sha256_sent="ab",
        sha256_received="ab",
        setup_ms=50.0,
        delay_ms=Delay(p50=5.0, p99=9.0),
        snapshot=str(picture),
    )
    return Report(
        seconds=3.0,
        channels_offered=4,
        channels_shared=3,
        channels_received=3,
        streams=[stream],
        frames_sent=75,
        frames_decoded=75,
        payload_identical=True,
        setup_ms=[50.0],
        delay_ms=Delay(p50=5.0, p99=9.0),
        spoken=SPOKEN,
        rung=RUNG,
        refused=[
            RefusedReport(channel=CHANNEL, asked="play", status=404, reason="Not Found"),
            RefusedReport(channel=CHANNEL, asked="ptz", status=403, reason="no-ptz"),
        ],
        refused_by_rule={"no-schools": 2, "no-ptz": 1},
        audit_records=20,
        audit_verified=True,
        audit_refused={"no-ptz": 1},
        snapshots=[str(picture)],
        hosts=HOSTS,
    )


def test_a_good_run_has_no_problem_and_every_promise_was_checked(tmp_path: Path) -> None:
    report = good(tmp_path / "one.png")
    judge(report, EXPECTED)
    assert report.problems == []
    assert report.checked == list(PROMISES)
    assert report.not_checked == []


BROKEN: dict[str, dict[str, Any]] = {
    "offered": {"channels_offered": 3},
    "shared": {"channels_shared": 2},
    "received": {"channels_received": 2},
    "played": {"streams": []},
    "decoded": {"frames_decoded": 74},
    "lossless": {"packets_lost": {CHANNEL: [7]}},
    "identical": {"payload_identical": False},
    "setup": {"setup_ms": [0.0]},
    "delay": {"delay_ms": None},
    "voice_heard": {"spoken": msgspec.structs.replace(SPOKEN, packets_received=149)},
    "voice_identical": {"spoken": msgspec.structs.replace(SPOKEN, sha256_received="ce")},
    "voice_setup": {"spoken": msgspec.structs.replace(SPOKEN, setup_ms=0.0)},
    "voice_ended": {"spoken": msgspec.structs.replace(SPOKEN, ended_below=None)},
    "alarm": {"rung": msgspec.structs.replace(RUNG, crossed_ms=None)},
    "alarm_kept": {"rung": msgspec.structs.replace(RUNG, heard=["one", "two", "two"])},
    "kept_camera": {"refused": [RefusedReport(channel=CHANNEL, asked="play", status=486, reason="")]},
    "ptz": {"refused": [RefusedReport(channel=CHANNEL, asked="play", status=404, reason="")]},
    "refusals": {"refused": []},
    "counted": {"refused_by_rule": {}},
    "recorded": {"audit_refused": {}},
    "untouched": {"controls_below": 1},
    "audit": {"audit_verified": False},
    "nothing_left": {"orphans": Orphans(tables=1)},
    "pictures": {"snapshots": []},
    "apart": {
        "hosts": msgspec.structs.replace(HOSTS, attempts=[NEAR, msgspec.structs.replace(FAR, arrived=True)])
    },
    "recovered": {
        "hosts": msgspec.structs.replace(HOSTS, outage=msgspec.structs.replace(OUTAGE, linked=False))
    },
}


@pytest.mark.parametrize("promise", BROKEN)
def test_each_promise_can_be_broken(promise: str, tmp_path: Path) -> None:
    report = msgspec.structs.replace(good(tmp_path / "one.png"), **BROKEN[promise])
    judge(report, EXPECTED)
    assert f"problem.{promise}" in [
        problem.key.replace("left", "nothing_left") for problem in report.problems
    ]


def test_a_run_of_one_process_promises_nothing_of_two_hosts(tmp_path: Path) -> None:
    report = good(tmp_path / "one.png")
    report.hosts = None
    judge(report, EXPECTED)
    assert {*PROMISES} - {*report.checked} == {"apart", "recovered"}
    assert (report.problems, report.not_checked) == ([], [])


def test_a_look_for_a_way_that_hears_nothing_at_all_proves_nothing(tmp_path: Path) -> None:
    report = good(tmp_path / "one.png")
    deaf = msgspec.structs.replace(NEAR, arrived=False)
    report.hosts = msgspec.structs.replace(HOSTS, attempts=[deaf, FAR])
    judge(report, EXPECTED)
    assert [problem.key for problem in report.problems] == ["problem.apart_untried"]


def test_a_wrong_picture_is_told(tmp_path: Path) -> None:
    report = good(tmp_path / "one.png")
    report.streams[0].frames_wrong = 1
    judge(report, EXPECTED)
    assert [problem.key for problem in report.problems] == ["problem.own_picture"]


def test_what_was_not_measured_is_told_as_not_checked_where_the_run_has_no_means(tmp_path: Path) -> None:
    report = good(tmp_path / "one.png")
    report.delay_ms = NOT_MEASURED
    judge(report, replace(EXPECTED, without=frozenset({"delay"})))
    assert report.problems == []
    assert report.not_checked == ["delay"]
    assert "delay" not in report.checked
    assert "Glass to glass: not measured." in summary(report, Words("en"))
    assert "Not checked, this run has no means for it: glass-to-glass delay." in summary(report, Words("en"))
    assert "未检查，本次运行无法测量：端到端时延。" in summary(report, Words("zh"))


def test_a_voice_that_nobody_heard_is_one_problem_and_one_that_nobody_could_speak_is_none(
    tmp_path: Path,
) -> None:
    report = good(tmp_path / "one.png")
    report.spoken = None
    judge(report, EXPECTED)
    assert [problem.key for problem in report.problems] == ["problem.voice_missing"]
    assert {*VOICE} <= {*report.checked}

    report = good(tmp_path / "one.png")
    report.spoken = NOT_MEASURED
    judge(report, replace(EXPECTED, without=frozenset(VOICE)))
    assert report.problems == []
    assert report.not_checked == list(VOICE)


def test_the_demo_has_means_for_everything(tmp_path: Path) -> None:
    report = good(tmp_path / "one.png")
    report.delay_ms = NOT_MEASURED
    judge(report, EXPECTED)
    assert [problem.key for problem in report.problems] == ["problem.not_measured"]
    assert report.not_checked == []


def test_a_report_is_the_same_after_reading_it_back(tmp_path: Path) -> None:
    report = good(tmp_path / "one.png")
    report.delay_ms = NOT_MEASURED
    judge(report, EXPECTED)
    report.write(tmp_path / "report.json")
    assert read(tmp_path / "report.json") == report


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", "PROBLEM: The lower platform offered 3 of 4 cameras. Pages of its catalog"),
        ("zh", "问题：4 个摄像机中，下级平台只提供了 3 个。"),
    ],
)
def test_a_problem_is_told_in_either_language_with_what_to_do(
    language: Any, says: str, tmp_path: Path
) -> None:
    report = good(tmp_path / "one.png")
    report.channels_offered = 3
    judge(report, EXPECTED)
    lines = summary(report, Words(language)).splitlines()
    assert lines[-2].startswith(says)
    assert "report.json" in lines[-1]


def test_an_alarm_that_nobody_rang_is_one_problem_and_one_that_nobody_could_ring_is_none(
    tmp_path: Path,
) -> None:
    report = good(tmp_path / "one.png")
    report.rung = None
    judge(report, EXPECTED)
    assert [problem.key for problem in report.problems] == ["problem.alarm_missing"]

    report = good(tmp_path / "one.png")
    report.rung = NOT_MEASURED
    judge(report, replace(EXPECTED, without=frozenset(ALARMS)))
    assert report.problems == []
    assert report.not_checked == list(ALARMS)
