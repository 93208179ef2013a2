"""What is known of an audit from outside it: its head file, and anchors kept elsewhere."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.chamber import chain, head
from gateway.chamber.audit import ANCHOR_SECONDS, Audit
from gateway.chamber.head import Anchor
from tests.gateway.test_audit import Clock, anchors, records, written


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outer" / "audit.jsonl"


def test_without_a_head_or_an_anchor_it_cannot_be_seen_that_the_newest_are_gone(path: Path) -> None:
    lines = written(path)
    head.beside(path).unlink()
    path.write_bytes(b"".join(lines[:3]))
    assert chain.verify(path).whole


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (3, ""),
        (4, "Record 4 is missing at the end: the given anchor knows of it"),
        (5, "Records 4 to 5 are missing at the end: the given anchor knows of them"),
    ],
)
def test_an_anchor_kept_elsewhere_finds_what_was_cut_off_with_its_head(
    path: Path, number: int, says: str
) -> None:
    lines = written(path)
    anchor = anchors(lines)[number - 1]
    path.write_bytes(b"".join(lines[:3]))
    head.note(path, anchors(lines)[2])
    assert chain.verify(path).whole
    report = chain.verify(path, anchor)
    assert str(report.problem or "").startswith(says)
    assert bool(report.problem) is bool(says)


def test_a_chain_written_anew_is_not_the_one_that_was_noted(path: Path) -> None:
    lines = written(path)
    third = anchors(lines)[2]
    records_anew: list[bytes] = []
    previous = chain.GENESIS
    for number, line in enumerate(lines, start=1):
        record = json.loads(line) | {"users": []}
        del record["hash"]
        sealed, previous = chain.seal(record, sequence=number, previous=previous)
        records_anew.append(sealed)
    path.write_bytes(b"".join(records_anew))
    assert "the head file" in str(chain.verify(path).problem)
    head.note(path, anchors(records_anew)[-1])
    assert chain.verify(path).whole
    assert str(chain.verify(path, third).problem).startswith(
        "Record 3 is not the one that the given anchor knows"
    )


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_a_start_over_missing_records_says_so_in_the_chain(
    path: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The head is rewritten soon; what it knew must not be forgotten with it."""
    lines = written(path)
    path.write_bytes(b"".join(lines[: 5 - cut]))
    written(path, 1)
    assert "audit.records_missing" in caplog.messages
    first = 6 - cut
    marker = records(path)[first - 1]
    assert (marker["action"], marker["known"]) == (chain.CUT, str(anchors(lines)[-1]))
    report = chain.verify(path)
    assert report.records == first - 1
    assert str(report.problem).startswith(
        f"Records were cut off or replaced before record {first} (line {first}): "
        "when the gateway started it knew of records up to 5,"
    )


def test_the_head_knows_the_last_record_once_it_is_on_the_disk_and_never_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is rewritten at most once for each fsync, whatever the records: never for one of them."""
    noted: list[tuple[Anchor, int]] = []
    synced: list[int] = []
    really, truly = head.note, os.fsync

    def note(audit: Path, anchor: Anchor) -> None:
        noted.append((anchor, synced[-1]))
        really(audit, anchor)

    def fsync(fd: int) -> None:
        synced.append(os.fstat(fd).st_size)
        truly(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(head, "note", note)
    lines = written(path, 3000)
    ends = list(itertools.accumulate(map(len, lines)))
    assert noted[-1][0] == anchors(lines)[-1] == head.known(path)
    assert len(noted) <= len(synced) < 300
    for anchor, size in noted:
        assert ends[anchor.number - 1] <= size


def test_a_killed_process_leaves_a_head_that_lags_at_most(path: Path) -> None:
    code = (
        "import os, sys, time; from pathlib import Path; from gateway.chamber.audit import Audit\n"
        "from gateway.chamber import head\n"
        "path = Path(sys.argv[1]); audit = Audit(path)\n"
        "while head.known(path) is None: audit.record({'action': 'media.live'})\n"
        "for _ in range(500): audit.record({'action': 'media.live'})\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    report = chain.verify(path)
    assert report.whole
    assert report.head is not None
    assert 0 < report.head.number <= report.records


def test_a_head_that_cannot_be_written_stops_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    head.beside(path).mkdir(parents=True)
    assert len(written(path)) == 5
    assert caplog.messages.count("audit.head_failed") == 1
    report = chain.verify(path)
    assert (report.whole, report.head) == (True, None)


@pytest.mark.parametrize("content", [b"", b"\0" * 86, b"x@1\n", b"0" * 64 + b"@0\n", b"\xff" * 200])
def test_a_head_that_says_nothing_is_none(path: Path, content: bytes) -> None:
    written(path)
    head.beside(path).write_bytes(content)
    report = chain.verify(path)
    assert (report.whole, report.head) == (True, None)
    written(path, 1)
    assert chain.verify(path).records == 6


@given(st.integers(1, 10**17), st.binary(min_size=32, max_size=32).map(bytes.hex))
def test_an_anchor_is_read_as_it_is_written(number: int, hashed: str) -> None:
    assert Anchor.read(f" {Anchor(number, hashed)}\n") == Anchor(number, hashed)


def test_the_log_names_the_last_record_now_and_then_and_at_the_end(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    clock = Clock()
    audit = Audit(path, monotonic=clock)
    audit.record({"action": "media.live"})
    audit._sync()
    clock.now += ANCHOR_SECONDS
    audit.record({"action": "media.live"})
    audit._sync()
    audit.close()
    told = [(line.getMessage(), vars(line)["anchor"]) for line in caplog.records]
    last = str(anchors(path.read_bytes().splitlines())[-1])
    assert told == [("audit.anchor", last), ("audit.closed", last)]
