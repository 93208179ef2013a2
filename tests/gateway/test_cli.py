"""The command line as a person meets it: words on the right stream, and exit codes."""

import errno
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Final
from unicodedata import east_asian_width

import pytest
from msgspec.structs import fields
from typer.testing import CliRunner, Result

from gateway.chamber.audit import Audit, AuditUnavailable
from gateway.chamber.head import beside
from gateway.cli import build
from gateway.cli.check import is_ours
from gateway.config import (
    AlarmsConfig,
    Config,
    GatewayConfig,
    LinkConfig,
    LogConfig,
    MediaConfig,
    PtzConfig,
    SecretsConfig,
    SideConfig,
    load,
)
from gateway.config_limits import LimitsConfig
from gateway.config_peers import LowerConfig, UpperConfig
from gateway.credentials.holders import Secrets, load_secrets
from gateway.store.sqlite.writer import StoreUnavailable
from gateway.words import LANGUAGES, Language, Told, Words, saying
from gateway.words.choice import VARIABLES

IDENTIFIERS: Final = {
    *("anchor", "HASH", "NUMBER"),
    *("policy", "explain", "try", "peer", "action", "channel", "ACTION", "CHANNEL", "diff", "reload"),
    *("grant", "tickets", "withdraw", "by", "reason", "hours", "TEXT", "HOURS", "NAME"),
    *("certs", "issue", "list", "revoke", "folder", "days", "DAYS", "ID", "SIDE"),
    *("side", "outer", "inner"),
    *("lockgate", "root", "run", "check", "init", "audit", "verify", "lang", "version", "help", "config"),
    *("trace", "WHAT", "Call", "pcapng", "follow", "status", "watch", "limits"),
    *("secret", "set", "import", "remove", "user", "dry", "run", "PEER", "CSV", "password", "realm"),
    *("gateway", "secrets", "toml", "en", "zh", "FILE", "DIR", "LANG", "GB", "Ctrl", "SIGTERM"),
}
"""What is the same in every language."""


def lockgate(*arguments: str | Path, language: Language = "en") -> Result:
    return CliRunner().invoke(build(Words(language)), [str(argument) for argument in arguments])


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("gateway.cli.check.is_ours", lambda address: True)  # of whatever machine this is
    return begun(tmp_path / "site")


def begun(folder: Path, language: Language = "en") -> Path:
    """The example, with a password for each of its peers."""
    assert lockgate("init", folder, language=language).exit_code == 0
    passwords = folder.parent / "passwords.csv"
    passwords.write_text("44010000002000000001,open sesame\n44000000002000000001,abracadabra\n")
    result = lockgate("secret", "import", passwords, "--config", folder / "gateway.toml")
    assert (result.exit_code, result.stderr) == (0, "")
    return folder


def test_the_example_passes_check(example: Path) -> None:
    result = lockgate("check", "--config", example / "gateway.toml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "ok",
        "outer: 44010000002000000999 on 10.1.0.2:5060, media on 10.1.0.2 ports 30000 to 30999, "
        "1 below, 0 above",
        "inner: 44000000002000000999 on 10.2.0.2:5060, media on 10.2.0.2 ports 30000 to 30999, "
        "0 below, 1 above",
        "rules: 5 allow, 0 deny; what no rule names is refused",
        f"state: {example / 'state'}",
    ]


def test_the_example_without_passwords_says_how_to_set_them(tmp_path: Path) -> None:
    assert "lockgate secret set PEER" in lockgate("init", tmp_path / "site").stdout
    result = lockgate("check", "--config", tmp_path / "site" / "gateway.toml")
    assert result.exit_code == 2
    for peer in ("44010000002000000001", "44000000002000000001"):
        assert f"Peer {peer} has no secret. Run: lockgate secret set {peer}" in result.stderr


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_defaults_shown_in_the_example_are_the_defaults(tmp_path: Path, language: Language) -> None:
    """With every commented default written out, the document means the same."""
    example = tmp_path / "site"
    begun(example, language)
    text = (example / "gateway.toml").read_text()
    shown = "\n".join(
        line[2:]
        if line.startswith("# ") and " = " in line.partition("#  ")[0] and not line.startswith("# id")
        else line
        for line in text.partition("# ---- rules.")[0].splitlines()
    )
    whole = example / "whole.toml"
    whole.write_text(shown + "\n" + text.partition("# ---- rules.")[2].partition("\n")[2])
    assert shown != text
    one, two = load(example / "gateway.toml"), load(whole)
    assert (one.outer.lowers("outer"), one.inner.lowers("inner")) == (
        two.outer.lowers("outer"),
        two.inner.lowers("inner"),
    )
    for side, other in ((one.outer, two.outer), (one.inner, two.inner)):
        assert (side.us().domain, side.uppers()) == (other.us().domain, other.uppers())
        assert (side.port, side.receive_buffer) == (other.port, other.receive_buffer)
        assert (side.listen, side.tls) == (other.listen, other.tls)
    assert (one.log, one.media, one.link, one.gateway) == (two.log, two.media, two.link, two.gateway)
    assert one.secrets == two.secrets


def test_the_example_means_the_same_in_every_language(tmp_path: Path) -> None:
    """All but the reasons of rules, which are words; and each key that there is stands in both."""
    found = []
    for language in LANGUAGES:
        lockgate("init", tmp_path / language, language=language)
        text = (tmp_path / language / "gateway.toml").read_text()
        keys = re.findall(r"^(?:# )?(\w+) = ", text, flags=re.MULTILINE)
        document = tomllib.loads(text)
        for rule in document["rule"]:
            del rule["reason"]
        found.append((keys, document))
    assert found[1:] == found[:-1]
    program = (GatewayConfig, SecretsConfig, LogConfig, MediaConfig, PtzConfig, AlarmsConfig, LinkConfig)
    tables = (*program, SideConfig, LimitsConfig, LowerConfig, UpperConfig)
    written = {field.name for table in tables for field in fields(table)} - {"lower", "upper", "limits"}
    assert written <= set(found[0][0])


def test_an_address_of_another_machine_is_pointed_at(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.check.is_ours", lambda address: address != "10.1.0.2")
    result = lockgate("check", "--config", example / "gateway.toml")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "ok")  # meant for another, perhaps
    assert result.stderr == (
        f"warning: {example / 'gateway.toml'}: outer.address: 10.1.0.2 is not an address of this machine. "
        "Write one of its own, unless the gateway will run on another.\n"
    )


def test_check_lists_every_address_and_says_which_is_not_of_this_machine(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cli.check.is_ours", lambda address: address != "2001:db8::2")
    written = (example / "gateway.toml").read_text()
    listen = 'listen = [{ transport = "tcp" }, { transport = "udp", address = "2001:db8::2" }]\n'
    (example / "gateway.toml").write_text(written.replace("# listen = []", listen + "# listen = []", 1))
    result = lockgate("check", "--config", example / "gateway.toml")
    assert "outer listens too: tcp 10.1.0.2:5060, udp [2001:db8::2]:5060" in result.stdout
    assert "outer.listen[#2].address" in result.stderr


def test_an_address_is_ours_if_a_socket_takes_it() -> None:
    assert is_ours("127.0.0.1")
    assert not is_ours("2001:db8::2")
    assert not is_ours("192.0.2.1")  # for documentation: nobody's


def test_the_version_is_told() -> None:
    result = lockgate("--version")
    assert (result.exit_code, result.stdout) == (0, f"lockgate {version('lockgate')}\n")


def test_init_overwrites_nothing(example: Path) -> None:
    before = (example / "gateway.toml").read_text()
    result = lockgate("init", example)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "gateway.toml is already there and stays as it is." in result.stderr
    assert (example / "gateway.toml").read_text() == before


def test_init_says_when_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = lockgate("init", tmp_path / "file" / "site")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


@pytest.mark.usefixtures("example")
def test_init_writes_here_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert lockgate("init").exit_code == 0
    assert lockgate("secret", "import", "passwords.csv").exit_code == 0
    assert lockgate("check").exit_code == 0


def test_check_names_file_key_and_remedy_and_exits_2(example: Path) -> None:
    path = example / "gateway.toml"
    path.write_text(path.read_text().replace('host = "10.2.0.10"', 'host = "upper.example"'))
    result = lockgate("check", "--config", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f'{path}: inner.upper[#1].host: "upper.example" is no IP address. '
        "Write the address itself; names are not looked up here.\n"
    )


def test_check_of_a_file_that_is_not_there_exits_2(tmp_path: Path) -> None:
    result = lockgate("check", "--config", tmp_path / "gateway.toml")
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


def test_a_warning_does_not_change_the_exit_code(example: Path) -> None:
    (example / "secrets.toml").write_text("[outer.passwords]\n")
    result = lockgate("check", "--config", example / "gateway.toml")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: ")
    assert result.stdout.startswith("ok\n")


def play_app(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[Path, Config, Secrets, str | None], int]
) -> None:
    """In place of the gateway itself."""
    fake = ModuleType("gateway.app")
    vars(fake)["run"] = run
    monkeypatch.setitem(sys.modules, "gateway.app", fake)
    monkeypatch.setattr("gateway.app", fake, raising=False)
    monkeypatch.setattr("gateway.log.setup", lambda level, form, *, words: None)


def test_run_gives_the_configuration_to_the_gateway_and_returns_its_code(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[Config, Secrets]] = []

    def served(file: Path, config: Config, secrets: Secrets, side: str | None) -> int:
        given.append((config, secrets))
        return 7

    play_app(monkeypatch, served)
    assert lockgate("run", "--config", example / "gateway.toml").exit_code == 7
    loaded = load(example / "gateway.toml")
    assert given == [(loaded, load_secrets(loaded))]


@pytest.mark.parametrize(
    "error",
    [
        AuditUnavailable(saying("audit_file.torn", file="audit.jsonl")),
        StoreUnavailable(saying("store.newer", file="state.db", step=2, known=1)),
        OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)),
    ],
)
def test_run_says_in_a_sentence_why_it_cannot(
    example: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def served(file: Path, config: Config, secrets: Secrets, side: str | None) -> int:
        raise error

    play_app(monkeypatch, served)
    result = lockgate("run", "--config", example / "gateway.toml")
    assert result.exit_code == 2
    said = error.said if isinstance(error, Told) else "the system reports: Address already in use."
    assert result.stderr.startswith(f"The gateway cannot run: {said}")
    assert len(result.stderr.splitlines()) == 1


def test_run_with_a_wrong_configuration_starts_nothing(example: Path) -> None:
    (example / "secrets.key").unlink()
    result = lockgate("run", "--config", example / "gateway.toml")
    assert result.exit_code == 2
    assert "secrets.key is not there" in result.stderr


@pytest.fixture
def audit_file(tmp_path: Path) -> Path:
    audit = Audit(tmp_path / "audit.jsonl")
    for number in range(3):
        audit.record({"action": "media.live", "correlation": number})
    audit.close()
    return audit.path


def test_a_whole_audit_file_is_verified(audit_file: Path) -> None:
    result = lockgate("audit", "verify", audit_file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{audit_file}: 3 records, the chain is whole. Last hash ")


def test_an_edited_audit_file_is_named(audit_file: Path) -> None:
    audit_file.write_text(audit_file.read_text().replace('"correlation":1', '"correlation":9'))
    result = lockgate("audit", "verify", audit_file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"{audit_file}: the chain is broken. "
        "Record 2 (line 2) was edited: its hash does not fit its content. "
        "The 1 records before it are whole. Keep the file for examination and compare it with a copy.\n"
    )


def test_a_torn_audit_file_is_said_to_have_been(audit_file: Path) -> None:
    audit_file.write_bytes(audit_file.read_bytes()[:-10])
    beside(audit_file).unlink()  # a crash before the disk had that record, so the head did not know it
    assert lockgate("audit", "verify", audit_file).exit_code == 1
    Audit(audit_file).close()
    result = lockgate("audit", "verify", audit_file)
    assert result.exit_code == 0
    assert "1 torn by a crash" in result.stdout


def test_a_cut_audit_file_is_named_and_an_anchor_is_given_for_later(audit_file: Path) -> None:
    whole = lockgate("audit", "verify", audit_file)
    assert "There is no head file" not in whole.stdout
    anchor = whole.stdout.split()[-1]
    assert anchor.endswith("@3")
    audit_file.write_bytes(audit_file.read_bytes().partition(b"\n")[0] + b"\n")
    cut = lockgate("audit", "verify", audit_file)
    assert cut.exit_code == 1
    assert "Records 2 to 3 are missing at the end: the head file knows of them." in cut.stderr
    beside(audit_file).unlink()
    alone = lockgate("audit", "verify", audit_file)
    assert alone.exit_code == 0
    assert f"There is no head file {beside(audit_file)} beside it" in alone.stdout
    cut = lockgate("audit", "verify", audit_file, "--anchor", anchor)
    assert cut.exit_code == 1
    assert "Records 2 to 3 are missing at the end: the given anchor knows of them." in cut.stderr
    bad = lockgate("audit", "verify", audit_file, "--anchor", "3")
    assert bad.exit_code == 2
    assert bad.stderr.startswith("3 is no anchor. Write the 64 digits of the hash, @ and the number")


def test_an_audit_file_that_cannot_be_read_exits_2(tmp_path: Path) -> None:
    result = lockgate("audit", "verify", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "english", "chinese"),
    [
        (
            ["nonsense"],
            "There is no command 'nonsense'; "
            "there are run, check, init, diff, trace, status, reload, audit, certs, policy, explain, secret.",
            "没有“nonsense”",
        ),
        (["run", "--nonsense"], "There is no option --nonsense.", "没有 --nonsense 这个选项。"),
        (["run", "--confi", "x"], "perhaps --config is meant.", "也许要写的是 --config。"),
        (["run", "--config"], "Option --config needs a value.", "选项 --config 后面缺少值。"),
        (["audit", "verify"], "The argument FILE is missing.", "缺少参数 FILE。"),
        (["check", "one", "two"], "more than the command takes: one two.", "多余的参数：one two。"),
    ],
)
def test_misuse_exits_2_with_one_sentence_and_where_help_is(
    arguments: list[str], english: str, chinese: str
) -> None:
    one, other = lockgate(*arguments), lockgate(*arguments, language="zh")
    for result in (one, other):
        assert (result.exit_code, result.stdout) == (2, "")
        assert len(result.stderr.splitlines()) == 1
        assert "--help" in result.stderr
    assert one.stderr.startswith("Error: ")
    assert english in one.stderr
    assert other.stderr.startswith("错误：")
    assert chinese in other.stderr


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "command",
    [
        *([], ["run"], ["check"], ["init"], ["audit"], ["audit", "verify"], ["certs"]),
        *(
            ["trace"],
            ["status"],
            ["certs", "init"],
            ["certs", "issue"],
            ["certs", "list"],
            ["certs", "revoke"],
        ),
    ],
)
def test_help_is_in_one_language_and_fits_a_terminal(command: list[str], language: Language) -> None:
    result = lockgate(*command, "--help", language=language)
    assert (result.exit_code, result.stderr) == (0, "")
    for line in result.stdout.splitlines():
        assert sum(1 + (east_asian_width(sign) in "WF") for sign in line) <= 80, line
    if language == "zh":
        left = set(re.findall(r"[A-Za-z]{2,}", result.stdout))
        assert left <= IDENTIFIERS, left - IDENTIFIERS
    else:
        assert result.stdout.isascii()


def test_no_arguments_show_the_help_as_a_trouble() -> None:
    for result in (lockgate(), lockgate("audit")):
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("Usage: ")


def test_check_speaks_chinese(example: Path) -> None:
    result = lockgate("check", "--config", example / "gateway.toml", language="zh")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "配置可用",
        "外侧（outer）：44010000002000000999，信令 10.1.0.2:5060，媒体 10.1.0.2 端口 30000 至 30999，"
        "下级 1 个，上级 0 个",
        "内侧（inner）：44000000002000000999，信令 10.2.0.2:5060，媒体 10.2.0.2 端口 30000 至 30999，"
        "下级 0 个，上级 1 个",
        "规则：允许 5 条，拒绝 0 条；没有规则写明的一律拒绝",
        f"数据目录：{example / 'state'}",
    ]
    (example / "secrets.key").chmod(0o644)
    result = lockgate("check", "--config", example / "gateway.toml", language="zh")
    assert result.exit_code == 2
    assert result.stderr == (
        f"{example / 'gateway.toml'}: secrets: 本机的其他用户可以读取密钥 {example / 'secrets.key'}，"
        f"因此不予使用。请执行：chmod 600 {example / 'secrets.key'}\n"
    )


PLAIN: Final = {
    name: value for name, value in os.environ.items() if name not in {*VARIABLES, "PYTHONIOENCODING"}
}


def program(
    *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """The program itself, in no locale but the one given."""
    command = [sys.executable, "-m", "gateway", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, check=False, env={**PLAIN, **(environment or {})}, timeout=60
    )


@pytest.fixture
def local(example: Path) -> Path:
    """A configuration with addresses of this machine, whichever it is."""
    path = example / "gateway.toml"
    path.write_text(
        path.read_text().replace('"10.1.0.2"', '"127.0.1.1"').replace('"10.2.0.2"', '"127.0.2.1"')
    )
    return path


def test_the_program_itself_starts_and_checks(local: Path) -> None:
    done = program("check", "--config", local)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"ok\n")


@pytest.mark.parametrize(
    ("arguments", "environment", "chinese"),
    [
        (["--lang", "zh", "check"], {}, True),
        (["check", "--lang=zh"], {"LANG": "en_US.UTF-8"}, True),
        (["check"], {"LANG": "zh_CN.UTF-8"}, True),
        (["--lang", "en", "check"], {"LANG": "zh_CN.UTF-8"}, False),
        (["check"], {"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, False),
        (["check"], {"LANG": "fr_FR.UTF-8"}, False),
    ],
)
def test_the_program_speaks_the_language_asked_for_or_of_the_locale(
    local: Path, arguments: list[str], environment: dict[str, str], chinese: bool
) -> None:
    done = program(*arguments, "--config", local, environment=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith("配置可用\n" if chinese else "ok\n")


@pytest.mark.parametrize("arguments", [["--lang", "fr", "check"], ["check", "--lang"]])
def test_a_language_without_words_is_a_usage_error(arguments: list[str]) -> None:
    done = program(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Write --lang followed by one of: en, zh." in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gb2312", "utf-8"])
def test_a_terminal_that_cannot_show_a_word_stops_nothing(local: Path, encoding: str) -> None:
    """Paths and words that the terminal lacks are shown as escapes or question marks."""
    odd = local.parent / "𠮷é"
    odd.mkdir()
    environment = {"PYTHONIOENCODING": encoding}
    fine = program("--lang", "zh", "check", "--config", local, environment=environment)
    wrong = program("--lang", "zh", "check", "--config", odd / "none", environment=environment)
    assert (fine.returncode, fine.stderr) == (0, b"")
    assert b"10.1.0.2" not in fine.stdout
    assert b"127.0.1.1:5060" in fine.stdout
    assert wrong.returncode == 2
    assert b"lockgate init" in wrong.stderr
    assert b"Traceback" not in wrong.stderr
