"""What a user gets who types something wrong, asks for help, or waits for somebody who never comes."""

import json
import logging
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import interop.sim
from interop.sim.__main__ import main
from interop.sim.cli import build
from interop.sim.options import number_from
from interop.sim.station import Reporter, address
from interop.sim.troubles import Troubles
from interop.words import LANGUAGES, Language, Words, saying

SERVER = ["--server", "127.0.0.1", "--server-id", "44010000002000000001", "--password", "x"]
UPPER = ["upper", "--listen", "127.0.0.1:0", "--password", "x", "--platform", "44010600002000000001"]


def invoke(arguments: list[str], language: Language = "en") -> Result:
    return CliRunner().invoke(build(Words(language)), arguments, env={"COLUMNS": "200"})


@pytest.mark.parametrize("command", ["device", "lower", "upper", "fleet", "attack"])
def test_help_names_every_option_with_its_meaning(command: str) -> None:
    result = invoke([command, "--help"])
    assert result.exit_code == 0
    assert "--password" in result.output
    assert "--json" in result.output


KEPT = {"device", "lower", "upper", "fleet", "attack", "impair", "Contact", "XML"} | {
    *("TOML", "seed", "loss", "duplicate", "reorder", "delay", "jitter", "drop")
}
"""Commands, and names of things."""


@pytest.mark.parametrize("command", [[], ["device"], ["lower"], ["upper"], ["fleet"], ["attack"], ["impair"]])
def test_help_is_in_chinese_for_who_reads_chinese(command: list[str]) -> None:
    """But for options, the names of what they hold, and what is typed."""
    page = invoke([*command, "--help"], "zh").output
    words = re.sub(
        r"--?[a-z-]+|LOCKGATE_SIM_PASSWORD|LOCKGATE_SIM_OTHER|[A-Z][A-Z0-9-]*\b|lockgate-sim|PATH|root",
        "",
        page,
    )
    words = re.sub(r"默认：\s*[^\]]*|GB2312|GB18030|UTF-8|G\.711|H\.264", "", words)
    left = set(re.findall(r"[A-Za-z]{3,}", words)) - KEPT
    assert left == set()


@pytest.mark.parametrize(
    ("arguments", "says", "zh_says"),
    [
        (["lower", *SERVER, "--id", "123"], "--id needs 20 digits", "--id 需要 20 位数字"),
        (["device", *SERVER, "--charset", "LATIN1"], "--charset needs", "--charset 须为"),
        (["device", "--server", "host:port", *SERVER[2:]], "write HOST or HOST:PORT", "请写 HOST"),
        (["upper", "--password", "x"], "--platform needs", "--platform 至少需要"),
        (["lower", "--server", "255.255.255.255", *SERVER[2:]], "255.255.255.255 can't be", "无法到达"),
        (["device", *SERVER, "--id", "9" * 20, "--count", "2"], "room to count on", "递增的余地"),
        (["device", *SERVER, "--video", "/no/such/file"], "there is no file /no/such/file", "没有文件"),
        (["device", *SERVER, "--count", "many"], "--count can't be that", "--count 不能是这个值"),
        (["device", *SERVER, "--nothing"], "There is no option --nothing", "没有 --nothing 这个选项"),
        (["device", *SERVER, "--count"], "Option --count needs a value", "--count 后面缺少值"),
        (["device", *SERVER[2:]], "The option --server is missing", "缺少选项 --server"),
        (["device", *SERVER, "more"], "more than the command takes: more", "多余的参数：more"),
        (["devise"], "no command 'devise'", "没有“devise”这个命令"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(arguments: list[str], says: str, zh_says: str) -> None:
    for language, expected in (("en", says), ("zh", zh_says)):
        result = invoke(arguments, "en" if language == "en" else "zh")
        assert result.exit_code == 2
        assert expected in result.output


def test_a_video_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_text("text")
    result = invoke(["device", *SERVER, "--video", str(tmp_path / "no.mp4")])
    assert result.exit_code == 2
    assert "can't be opened as video" in result.output


@pytest.mark.parametrize("command", [["lower"], ["device"], ["fleet", "--count", "1"]])
def test_who_never_registered_says_why_and_what_to_do(command: list[str]) -> None:
    """Nobody listens there."""
    arguments = [*command, "--server", "127.0.0.1:9", *SERVER[2:], "--seconds", "0.3"]
    result = invoke(arguments)
    assert result.exit_code == 1
    assert "Never registered at 44010000002000000001 (127.0.0.1:9)" in result.stderr
    assert "Look whether a platform listens at --server" in result.stderr
    chinese = invoke(arguments, "zh")
    assert chinese.exit_code == 1
    assert "从未注册到 44010000002000000001（127.0.0.1:9），本方 1 个：没有收到应答。" in chinese.stderr


def test_an_upper_platform_that_nobody_came_to_says_so() -> None:
    result = invoke([*UPPER, "--play", "44010600001320000001", "--seconds", "0.2"])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("44010600002000000001 never registered here")
    assert re.search(r"Enter 44000000002000000001 at 127\.0\.0\.1:[1-9]", line)


def test_an_address_that_is_taken_is_told() -> None:
    result = invoke(["upper", *UPPER[3:], "--listen", "192.0.2.1:5060"])
    assert result.exit_code == 1
    assert (
        result.stderr
        == "The address can't be used: it is none of this machine. Choose another with --listen.\n"
    )
    chinese = invoke(["upper", *UPPER[3:], "--listen", "192.0.2.1:5060"], "zh")
    assert chinese.stderr == "地址不可用：不是本机地址。请用 --listen 另选一个。\n"


@pytest.mark.parametrize("language", LANGUAGES)
def test_status_lines_are_words_for_people_and_json_for_programs(
    language: Language, capsys: pytest.CaptureFixture[str]
) -> None:
    why = saying("why.silence")
    for as_json in (False, True):
        reporter = Reporter(Words(language), as_json=as_json, every=1.0)
        reporter.say("status", registered=True, frames=3, sha256="ab", setup_ms=None, last_error=why)
    people, programs = capsys.readouterr().out.splitlines()
    assert (
        people
        == {
            "en": "now: registered yes, frames 3, sha256 ab, last trouble no answer came",
            "zh": "当前：已注册 是，帧 3，sha256 ab，最近问题 没有收到应答",
        }[language]
    )
    assert json.loads(programs) == {
        "event": "status",
        "registered": True,
        "frames": 3,
        "sha256": "ab",
        "setup_ms": None,
        "last_error": "no answer came",
    }


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("192.0.2.1", ("192.0.2.1", 5060)),
        ("192.0.2.1:5070", ("192.0.2.1", 5070)),
        ("[2001:db8::1]:5070", ("2001:db8::1", 5070)),
        ("[2001:db8::1]", ("2001:db8::1", 5060)),
    ],
)
def test_addresses_are_read_with_and_without_port(text: str, meant: tuple[str, int]) -> None:
    assert address(text) == meant


def test_ids_count_on_in_their_serial_number() -> None:
    assert number_from("44010600001320000099", 1) == "44010600001320000100"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--lang", "en"], "av is not installed. Install lockgate with its extra: lockgate[sim]."),
        (["lower", "--lang=zh"], "没有安装 av。请安装带附加组件的 lockgate：lockgate[sim]。"),
        (
            ["--lang", "fr"],
            "There are no words in the language 'fr'. Write --lang followed by one of: en, zh.",
        ),
    ],
)
def test_before_anything_runs_one_sentence_says_what_is_missing(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lockgate-sim", *arguments])
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.delitem(sys.modules, "interop.sim.cli")
    for name in [name for name in sys.modules if name.startswith(("interop.sim.cam", "interop.sim.options"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "av", None)  # as if it were not installed
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("event", "given", "says", "zh_says"),
    [
        ("page_unanswered", {"owner": "1"}, "1 answered a query only in part: no answer came.", "只回答了"),
        ("response_unanswered", {"target": "1"}, "broadcast for 1 was not taken: no answer", "没有被接收"),
        ("no_snapshot", {"path": "x"}, "The picture x can't be written: no answer", "图片 x 无法写入"),
        ("no_source", {"camera": "1"}, "1 could not be played: no answer came", "1 无法播放：没有收到应答"),
        ("stream_failed", {"camera": "1"}, "The stream of 1 broke off", "1 的流因模拟器的缺陷中断"),
        ("task_failed", {}, "Something broke off", "某项工作因模拟器的缺陷中断"),
    ],
)
def test_what_is_logged_is_told_in_the_users_language(
    event: str, given: dict[str, str], says: str, zh_says: str
) -> None:
    record = logging.makeLogRecord({"msg": f"sim.{event}", "reason": saying("why.silence"), **given})
    assert says in Troubles(Words("en")).format(record)
    assert zh_says in Troubles(Words("zh")).format(record)


def test_every_record_of_ours_that_is_worth_telling_has_its_sentence() -> None:
    source = "".join(file.read_text() for file in Path(interop.sim.__path__[0]).glob("*.py"))
    logged = set(re.findall(r'log\.(?:warning|error|exception)\(\s*"(sim\.\w+)"', source))
    assert logged == set(re.findall(r'case "(sim\.\w+)"', source))
