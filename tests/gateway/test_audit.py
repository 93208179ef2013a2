"""The audit file: in the operating system's hands before anything is delivered, and every edit is found."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.crossing import Ask, CatalogBatch, NoAnswer, StreamOpen
from cascade.model.commands import Command
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.secret import Secret
from cascade.ports import Verdict
from gateway.chamber import chain, head
from gateway.chamber.audit import RETRY_SECONDS, Audit, AuditUnavailable
from gateway.chamber.head import Anchor
from gateway.chamber.record import MAX_SUBJECTS, Post, describe
from tests.gateway.chamber_ground import CROSSINGS, LOWER, ROAD_CAMERA, UPPER, ask, batch, channel, rows

SENT = Post("outer", "send", "inward")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outer" / "audit.jsonl"


def written(path: Path, count: int = 5) -> list[bytes]:
    """The lines of a file with `count` records."""
    audit = Audit(path, wall=Clock(), monotonic=Clock())
    for number in range(count):
        audit.record({"action": "media.live", "users": [f"user {number}"]})
    audit.close()
    return path.read_bytes().splitlines(keepends=True)


def anchors(lines: list[bytes]) -> list[Anchor]:
    return [Anchor(record["sequence"], record["hash"]) for record in map(json.loads, lines)]


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    written(path, 6)
    return path


def test_each_record_continues_the_one_before(path: Path) -> None:
    written(path)
    previous = "0" * 64
    for number, record in enumerate(records(path), start=1):
        assert (record["sequence"], record["previous"]) == (number, previous)
        assert record["hash_algorithm"] == "sha256"
        hashed = record.pop("hash")
        canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
        assert hashed == sha256((previous + canonical).encode()).hexdigest()
        previous = hashed
    report = chain.verify(path)
    assert (report.records, report.last_hash, report.problem) == (5, previous, None)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=9), _values, max_size=6))
def test_a_record_is_written_in_one_way_only(record: dict[str, Any]) -> None:
    line = chain.canonical(record)
    assert line == json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    assert all(0x20 <= byte < 0x7F for byte in line)
    assert json.loads(line) == record


@given(st.floats())
def test_a_number_is_written_as_it_is_read_again(number: float) -> None:
    line = chain.canonical({"number": number})
    assert chain.canonical(json.loads(line)) == line


def test_half_a_character_does_not_stop_the_audit(path: Path) -> None:
    audit = Audit(path)
    audit.record({"action": "x", "details": {"text": "a\ud800b"}})
    audit.close()
    assert records(path)[0]["details"] == {"text": "a?b"}
    assert chain.verify(path).whole


def test_the_operating_system_has_a_record_when_record_returns(path: Path) -> None:
    audit = Audit(path)
    audit.record({"action": "media.live"})
    assert len(path.read_bytes().splitlines()) == 1
    audit.close()


def test_a_killed_process_leaves_every_record(path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from gateway.chamber.audit import Audit\n"
        "audit = Audit(Path(sys.argv[1]))\n"
        "for _ in range(20): audit.record({'action': 'media.live'})\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert chain.verify(path).records == 20


def test_records_reach_the_disk_within_the_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    audit = Audit(path)
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    audit.record({"action": "media.live"})
    audit.close()
    assert synced[-1] == path.stat().st_size


def test_a_disk_that_does_not_sync_stops_everything_until_it_does(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    audit = Audit(path, monotonic=clock)

    def broken(fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", broken)
        audit.record({"action": "media.live"})
        audit._sync()
    with pytest.raises(AuditUnavailable, match="Input/output error"):
        audit.record({"action": "media.live"})
    clock.now += RETRY_SECONDS
    audit.record({"action": "media.live"})
    audit.close()
    assert chain.verify(path).records == 2


def test_a_second_start_continues_the_chain(path: Path) -> None:
    written(path, 3)
    written(path, 2)
    assert [record["sequence"] for record in records(path)] == [1, 2, 3, 4, 5]
    assert chain.verify(path).whole


def test_a_file_has_one_writer(path: Path) -> None:
    audit = Audit(path)
    with pytest.raises(AuditUnavailable, match="in use by another gateway"):
        Audit(path)
    audit.close()
    Audit(path).close()


def test_a_closed_audit_takes_nothing(path: Path) -> None:
    audit = Audit(path)
    audit.close()
    audit.close()
    with pytest.raises(AuditUnavailable, match="closed"):
        audit.record({"action": "media.live"})


def test_a_full_disk_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.symlink_to("/dev/full")
    audit = Audit(path)
    with pytest.raises(AuditUnavailable, match=r"No space left on device.*nothing crosses"):
        audit.record({"action": "media.live"})
    audit.close()


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "outer").write_text("a file")
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        Audit(tmp_path / "outer" / "audit.jsonl")


def test_it_recovers_alone_when_there_is_space_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    audit = Audit(path, monotonic=clock)
    audit.record({"action": "first"})
    really = os.write
    with monkeypatch.context() as patched:  # a disk that takes 20 bytes more
        patched.setattr(os, "write", lambda fd, data: really(fd, data[:20]))
        with pytest.raises(AuditUnavailable, match="part of a record"):
            audit.record({"action": "torn"})
    with pytest.raises(AuditUnavailable):
        audit.record({"action": "too early"})
    clock.now += RETRY_SECONDS
    audit.record({"action": "second"})
    audit.close()
    report = chain.verify(path)
    assert (report.records, report.torn, report.problem) == (3, 1, None)
    lines = path.read_text().splitlines()
    assert [json.loads(line)["action"] for line in (lines[0], lines[2], lines[3])] == [
        "first",
        chain.MARKER,
        "second",
    ]


@pytest.mark.parametrize("left", [1, 10, 200, -1])
def test_a_torn_last_line_is_closed_by_a_marker(path: Path, left: int) -> None:
    lines = written(path)
    torn = lines[-1].rstrip(b"\n") if left == -1 else lines[-1][:left]
    path.write_bytes(b"".join(lines[:-1]) + torn)
    head.note(path, anchors(lines)[-2])  # it knows what the disk has, and the torn one it never had
    assert not chain.verify(path).whole
    written(path, 1)
    report = chain.verify(path)
    assert report.whole
    assert (report.records, report.torn) == ((6, 0) if left == -1 else (6, 1))


def test_zeros_of_a_power_cut_are_closed_by_a_marker(path: Path) -> None:
    lines = written(path)
    path.write_bytes(b"".join(lines) + b"\x00" * 5000)
    written(path, 1)
    report = chain.verify(path)
    assert (report.records, report.torn, report.problem) == (7, 1, None)


def test_a_file_that_is_no_audit_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    text = "[gateway]\nstate = 'x'\n" * 5
    path.write_text(text)
    with pytest.raises(AuditUnavailable, match="Move the file away"):
        Audit(path)
    assert path.read_text() == text


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
@pytest.mark.parametrize("kilobytes", [300, 511, 512, 513, 2000])
def test_a_last_line_longer_than_any_record_is_no_empty_file(path: Path, kilobytes: int, end: bytes) -> None:
    """Whatever it is, the chain before it cannot be continued unseen."""
    written(path, 1)
    with path.open("ab") as file:
        file.write(b"x" * (1024 * kilobytes) + end)
    before = path.read_bytes()
    if kilobytes >= 512:
        with pytest.raises(AuditUnavailable, match="Move the file away"):
            Audit(path)
        assert path.read_bytes() == before
        return
    audit = Audit(path)  # the record before it is within reach
    audit.record({"action": "two"})
    audit.close()
    report = chain.verify(path)
    assert (report.records, report.torn, report.problem) == (3, 1, None)


def test_opening_a_long_file_reads_its_end_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = written(path, 1)
    path.write_bytes(b"x" * (chain.MAX_LINE_BYTES * 8) + b"\n" + b"".join(lines))
    read: list[int] = []
    really = os.pread

    def counted(fd: int, count: int, offset: int) -> bytes:
        read.append(count)
        return really(fd, count, offset)

    monkeypatch.setattr(os, "pread", counted)
    audit = Audit(path)
    audit.close()
    assert audit.sequence == 1
    assert sum(read) <= 2 * chain.MAX_LINE_BYTES + 2


# What verify finds


@settings(deadline=None)
@given(st.data())
def test_every_edit_of_a_byte_is_found(sample: Path, data: Any) -> None:
    whole = sample.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    to = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    assert found(sample, whole[:at] + bytes([to]) + whole[at + 1 :])


@settings(deadline=None)
@given(st.data())
def test_every_byte_removed_or_inserted_is_found(sample: Path, data: Any) -> None:
    whole = sample.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    assert found(sample, whole[:at] + whole[at + 1 :])
    assert found(sample, whole[:at] + data.draw(st.binary(min_size=1, max_size=5)) + whole[at:])


@settings(deadline=None)
@given(st.data())
def test_every_record_missing_moved_or_repeated_is_found(sample: Path, data: Any) -> None:
    lines = sample.read_bytes().splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 2))  # that the newest are gone cannot be seen from within
    to = data.draw(st.integers(0, len(lines) - 1).filter(lambda place: place != at))
    assert found(sample, b"".join(lines[:at] + lines[at + 1 :]))
    swapped = lines[:]
    swapped[at], swapped[to] = swapped[to], swapped[at]
    assert found(sample, b"".join(swapped))
    assert found(sample, b"".join([*lines[:to], lines[at], *lines[to:]]))


def found(sample: Path, content: bytes) -> bool:
    edited = sample.with_name("edited.jsonl")
    edited.write_bytes(content)
    return not chain.verify(edited).whole


def forged(line: bytes, **fields: Any) -> bytes:
    """A record edited with care: its own hash fits again."""
    record = json.loads(line) | fields
    del record["hash"]
    return chain.seal(record, sequence=record["sequence"], previous=record["previous"])[0]


def replaced(lines: list[bytes], at: int, line: bytes) -> list[bytes]:
    return [*lines[:at], line, *lines[at + 1 :]]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda lines: lines, ""),
        (lambda lines: [], "Records 1 to 5 are missing at the end: the head file knows of them"),
        (lambda lines: lines[:-1], "Record 5 is missing at the end: the head file knows of it"),
        (
            lambda lines: replaced(lines, 1, lines[1].replace(b"user 1", b"user 9")),
            "Record 2 (line 2) was edited",
        ),
        (lambda lines: replaced(lines, 1, lines[1].replace(b":", b": ", 1)), "Record 2 (line 2) was edited"),
        (lambda lines: replaced(lines, 3, b"{}\n"), "Line 4 is not a readable record"),
        (lambda lines: [*lines[:2], lines[4]], "Records 3 to 4 are missing or moved: line 3 holds record 5"),
        (lambda lines: lines[1:], "Record 1 is missing or moved"),
        (lambda lines: [lines[0], lines[2], lines[1]], "Record 2 is missing or moved"),
        (lambda lines: [lines[0], lines[1], lines[0]], "Record 1 stands on line 3, after record 2"),
        (
            lambda lines: replaced(lines, 1, forged(lines[1], users=[])),
            "Record 3 (line 3) does not continue record 2",
        ),
        (lambda lines: [*lines[:4], lines[4].rstrip()], "Line 5 does not end"),
    ],
)
def test_verify_names_the_first_record_that_is_wrong(path: Path, edit: Any, says: str) -> None:
    path.write_bytes(b"".join(edit(written(path))))
    report = chain.verify(path)
    assert str(report.problem or "").startswith(says)
    assert bool(report.problem) is bool(says)


def test_remains_taken_away_before_their_marker_are_found(path: Path) -> None:
    lines = written(path)
    path.write_bytes(b"".join(lines)[:-20])
    written(path, 1)
    remaining = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(remaining[:4] + remaining[5:]))
    assert "closes a torn line that is no longer there" in str(chain.verify(path).problem)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_are_verified_without_an_exception(sample: Path, lines: list[bytes]) -> None:
    other = sample.with_name("any.jsonl")
    other.write_bytes(b"\n".join(lines))
    assert chain.verify(other).whole is (other.read_bytes() == b"")


# What a record says


@pytest.fixture
def audit(path: Path) -> Iterator[Audit]:
    audit = Audit(path)
    yield audit
    audit.close()


@settings(deadline=None)
@given(crossing=CROSSINGS)
def test_every_crossing_becomes_one_line(sample: Path, crossing: Any) -> None:
    entry = describe(crossing, Verdict(None, "default"), SENT)
    line, _ = chain.seal(entry, sequence=1, previous=chain.GENESIS)
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert len(line) < chain.MAX_LINE_BYTES
    assert chain.unseal(line.rstrip()) == json.loads(line)


def described(crossing: Any, rule: str = "live", **given: Any) -> dict[str, Any]:
    verdict = Verdict(given.pop("passes", crossing), rule, "", given.pop("refused", {}))
    return describe(crossing, verdict, Post("inner", "send", "outward"))


def test_a_question_says_who_asks_what_of_whom() -> None:
    given = Ask(correlation=7, origin=UPPER, users=("officer",), payload=ask().payload)
    assert described(given) == {
        "side": "inner",
        "door": "send",
        "direction": "outward",
        "kind": "Ask",
        "action": "query.device-info",
        "origin": str(UPPER),
        "users": ["officer"],
        "correlation": 7,
        "subjects": [str(ROAD_CAMERA)],
        "verdict": "passed",
        "rule": "live",
        "details": {},
    }


def test_a_stream_says_what_is_watched() -> None:
    entry = described(StreamOpen(correlation=1, origin=UPPER, channel=ROAD_CAMERA, stream_number=1))
    assert (entry["action"], entry["subjects"]) == ("media.live", [str(ROAD_CAMERA)])
    assert entry["details"] == {"stream_number": 1, "invitation": 0, "encodings": []}


def test_rows_are_counted_and_never_listed() -> None:
    given = batch(rows(channel(1), channel(2), channel(3)))
    passes = CatalogBatch(correlation=1, origin=LOWER, change="present", rows=rows(channel(1)))
    entry = described(given, passes=passes, refused={"no-schools": 2})
    assert (entry["rows"], entry["rows_passed"], entry["rows_refused"]) == (3, 1, {"no-schools": 2})
    assert "camera" not in json.dumps(entry)
    assert channel(1).name not in json.dumps(entry)


def test_a_refusal_says_by_which_rule() -> None:
    entry = described(ask(), "no-schools", passes=None)
    assert (entry["verdict"], entry["rule"]) == ("refused", "no-schools")


class Unlock(Command, frozen=True):
    action: ClassVar[str] = "control.unlock"

    doors: tuple[ChannelId, ...]
    key: Secret
    keys: tuple[Secret, ...] = ()


def test_a_secret_is_masked_wherever_it_is() -> None:
    payload = Unlock(doors=(ROAD_CAMERA,), key=Secret("sesame"), keys=(Secret("sesame"),))
    entry = described(Ask(correlation=1, origin=UPPER, payload=payload))
    assert "sesame" not in json.dumps(entry)
    assert (entry["details"]["key"], entry["details"]["keys"]) == ("***", ["***"])


def test_many_names_are_counted() -> None:
    doors = tuple(map(channel, range(MAX_SUBJECTS + 6)))
    entry = described(Ask(correlation=1, origin=UPPER, payload=Unlock(doors=doors, key=Secret("x"))))
    assert len(entry["subjects"]) == MAX_SUBJECTS
    assert entry["subjects_not_listed"] == 6


def test_a_peer_cannot_forge_a_line(audit: Audit) -> None:
    forgery = '"}\n{"action":"media.live","verdict":"passed"}\r\u2028\x1b[2J'
    given = NoAnswer(
        correlation=1, origin=PlatformId("4"), users=(forgery,), action=forgery, failure="failed"
    )
    audit.cross(given, Verdict(given, "always"), SENT)
    text = audit.path.read_bytes()
    assert text.count(b"\n") == 1
    assert text.isascii()
    assert b"\x1b" not in text
    assert json.loads(text)["action"] == forgery


def test_a_record_that_would_be_too_long_is_cut_not_lost(audit: Audit) -> None:
    audit.record({"action": "x", "details": {"text": "t" * chain.MAX_LINE_BYTES}})
    (record,) = records(audit.path)
    assert record["cut"] is True
    assert chain.verify(audit.path).whole
