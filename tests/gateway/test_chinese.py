"""What an operator reads in Chinese: the log of a day, a refusal, a full disk. The audit stays as it is."""

import asyncio
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from cascade.model.commands.device_control import ControlPtz
from gateway.chamber.audit import Audit
from gateway.log import SENTENCES, ConsoleFormatter, fields
from gateway.words import ENGLISH, Words
from interop.sim.upper import PTZ_LEFT, PlayRefused
from tests.clock import run
from tests.gateway.by_hand import disk_full
from tests.gateway.test_cli import begun, lockgate, program
from tests.gateway.world import Link, World, text, world

ZH: Final = Words("zh")
CHINESE: Final = re.compile(r"[\u4e00-\u9fff]")
LETTERS: Final = re.compile(r"[A-Za-z]{2}")


def said(caplog: pytest.LogCaptureFixture, event: str, field: str, words: Words = ZH) -> list[str]:
    """A field of all such events, as it is shown."""
    return [
        str(fields(record, words)[field])
        for record in caplog.records
        if record.getMessage() == event and field in fields(record, words)
    ]


async def refused(here: World, channel: str) -> int:
    with pytest.raises(PlayRefused) as refusal:
        async with here.upper.play(channel, answer_seconds=40.0):
            pass
    return refusal.value.status


def test_a_day_has_no_english_sentence_in_its_log(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    """A camera seen, one that is not shared, PTZ that is forbidden, a peer that goes in the middle."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            shared = here.shared()[0]
            async with here.upper.play(shared):
                await asyncio.sleep(2.0)
            await asyncio.sleep(5.0)
            assert await refused(here, here.kept()[0]) == 404
            assert await here.upper.control(shared, PTZ_LEFT) == 403
            async with here.upper.play(shared):
                await here.lower.membership.register(0)
                await asyncio.sleep(2.0)
            assert await refused(here, shared) in {404, 480}

    with caplog.at_level(logging.DEBUG):
        run(scenario())
    assert said(caplog, "viewing.ended", "reason")[:2] == ["对端挂断", "对端离线"]
    assert said(caplog, "source.ended", "reason")[:2] == ["已无人观看", "对端离线"]
    assert said(caplog, "viewing.ended", "reason", ENGLISH)[:2] == ["bye", "peer offline"]
    assert all("未知或未共享" in reason for reason in said(caplog, "invite.refused", "reason"))
    for record in caplog.records:
        for field, value in fields(record, ZH).items():
            if field in SENTENCES and LETTERS.search(str(value)):
                assert CHINESE.search(str(value)), (record.getMessage(), value)


@pytest.mark.parametrize(
    ("written", "reason", "rule"),
    [
        (
            text(),
            r"规则“no-ptz”拒绝了 \S+：.+。如需允许，请在它上面加一条规则，或缩小它的 channels。",
            "no-ptz",
        ),
        (
            text().replace('action = "control.ptz"', 'action = "query.device-info"'),
            r"已拒绝 \S+：没有规则允许 \d+ 的 control\.ptz（outward）。"
            r'如需允许，请加一条规则：verdict = "allow"，action = "control\.ptz"，direction = "outward"。',
            "default",
        ),
    ],
    ids=["by rule", "by default"],
)
def test_ptz_that_is_refused_is_told_in_chinese_and_written_down_by_its_rule(
    link: Link, caplog: pytest.LogCaptureFixture, written: str, reason: str, rule: str
) -> None:
    records: list[dict[str, Any]] = []

    async def scenario() -> None:
        async with world(link, written=written) as here:
            await here.shown()
            assert await here.upper.control(here.shared()[0], PTZ_LEFT) == 403
            records.extend(here.audit("inner"))

    with caplog.at_level(logging.INFO, logger="gateway.chamber"):
        run(scenario())
    (shown,) = said(caplog, "crossing.refused", "reason")
    assert re.fullmatch(reason, shown), shown
    (record,) = [each for each in caplog.records if each.getMessage() == "crossing.refused"]
    line = ConsoleFormatter(ZH).format(record)
    assert "crossing.refused" in line  # events and rules have one name in every language
    assert f"rule={rule}" in line
    (refusal,) = [each for each in records if each.get("action") == ControlPtz.action]
    assert refusal["rule"] == rule
    assert not CHINESE.search(str(refusal))


@pytest.mark.parametrize("side", ["outer", "inner"])
def test_a_full_disk_is_told_in_chinese(link: Link, side: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            with disk_full(here, side):
                await refused(here, here.shared()[0])

    with caplog.at_level(logging.INFO, logger="gateway.chamber"):
        run(scenario())
    (failed,) = said(caplog, "audit.failed", "problem")
    assert failed.startswith("审计文件 ")
    assert failed.endswith("无法写入（磁盘空间已满），因此一切都不能通过。请释放磁盘空间，或修改其权限。")
    assert said(caplog, "crossing.refused", "reason")[0] == failed
    assert "No space left on device" in said(caplog, "audit.failed", "problem", ENGLISH)[0]


# The command line


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return begun(tmp_path / "site", "zh") / "gateway.toml"


def test_a_file_that_is_no_toml_is_told_in_chinese_with_line_and_column(config: Path) -> None:
    lines = config.read_text().splitlines()
    config.write_text("\n".join([*lines, "x = = 1"]))
    result = lockgate("check", "--config", config, language="zh")
    assert (result.exit_code, result.stdout) == (2, "")
    where = f"第 {len(lines) + 1} 行第 5 列"
    assert result.stderr == f"{config}: 这不是有效的 TOML：{where}：不是有效的值。请改正该行。\n"


def test_an_address_that_the_gateway_cannot_have_is_told_in_chinese(config: Path) -> None:
    """By the program itself: the words of the system come from native code."""
    config.write_text(
        config.read_text().replace('"10.1.0.2"', '"127.0.11.1"').replace('"10.2.0.2"', '"203.0.113.77"')
    )
    done = program("--lang", "zh", "run", "--config", config)
    assert (done.returncode, done.stdout) == (2, b"")
    (line,) = [line for line in done.stderr.decode().splitlines() if line.startswith("网关无法运行")]
    assert line.startswith(
        "网关无法运行：内侧（inner）无法使用 203.0.113.77:5060（UDP）：该地址不是本机地址。请检查配置中的"
    )
    done = program("--lang", "en", "run", "--config", config)
    assert b"inner cannot take 203.0.113.77:5060 (UDP): Cannot assign requested address. " in done.stderr


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (
            lambda state: (state / "outer" / "audit.jsonl").write_bytes(b"x\n" * 3),
            "的最后一条记录无法读取，审计链无法接续。请把该文件移走",
        ),
        (
            lambda state: (state / "inner" / "state.db").write_bytes(b"this is no database" * 100),
            "无法使用：它不是数据库文件。请修改其权限",
        ),
    ],
)
def test_what_keeps_the_gateway_from_starting_is_told_in_chinese(
    config: Path, spoil: Callable[[Path], object], problem: str
) -> None:
    config.write_text(
        config.read_text().replace('"10.1.0.2"', '"127.0.11.1"').replace('"10.2.0.2"', '"127.0.12.1"')
    )
    for side in ("outer", "inner"):
        (config.parent / "state" / side).mkdir(parents=True)
    spoil(config.parent / "state")
    done = program("--lang", "zh", "run", "--config", config)
    assert done.returncode == 2
    assert problem in done.stderr.decode()


def _swapped(lines: list[bytes]) -> list[bytes]:
    return [lines[1], lines[0], *lines[2:]]


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda lines: [lines[0].replace(b"live", b"dead")], "记录 1（第 1 行）被改动过：其哈希与内容不符。"),
        (_swapped, "记录 1 缺失或被移动：第 1 行是记录 2。"),
        (lambda lines: [*lines[:2], lines[4]], "记录 3 至 4 缺失或被移动：第 3 行是记录 5。"),
        (lambda lines: [lines[0], lines[0]], "记录 1 在第 2 行，排在记录 1 之后：它被移动过或重复出现。"),
        (lambda lines: [lines[0][:-1]], "第 1 行没有结尾：它被截断，或网关在写它时停止。"),
        (lambda lines: [b"{}\n", *lines[1:]], "第 1 行不是可读的记录：它被改动过。"),
    ],
)  # fmt: skip
def test_a_broken_chain_is_told_in_chinese(tmp_path: Path, edit: Any, problem: str) -> None:
    file = tmp_path / "audit.jsonl"
    audit = Audit(file)
    for number in range(5):
        audit.record({"action": "media.live", "correlation": number})
    audit.close()
    file.write_bytes(b"".join(edit(file.read_bytes().splitlines(keepends=True))))
    result = lockgate("audit", "verify", file, language="zh")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{file}：审计链已断裂。{problem}")
    assert result.stderr.endswith("请保留该文件以备查验，并与备份比对。\n")
