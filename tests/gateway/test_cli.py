"""The command line as a person meets it: words on the right stream, and exit codes."""

import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner, Result

from gateway.chamber.audit import Audit, AuditUnavailable
from gateway.cli import app
from gateway.config import Config, load, load_secrets
from gateway.store.sqlite.writer import StoreUnavailable


def lockgate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def example(tmp_path: Path) -> Path:
    assert lockgate("init", tmp_path / "site").exit_code == 0
    return tmp_path / "site"


def test_the_example_passes_check(example: Path) -> None:
    result = lockgate("check", "--config", example / "gateway.toml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "ok",
        "outer: 44010000002000000999 on 10.1.0.2:5060, media on 10.1.0.2 ports 30000 to 30999, "
        "1 below, 0 above",
        "inner: 44000000002000000999 on 10.2.0.2:5060, media on 10.2.0.2 ports 30000 to 30999, "
        "0 below, 1 above",
        "rules: 4 allow, 0 deny; what no rule names is refused",
        f"state: {example / 'state'}",
    ]


def test_the_secrets_of_the_example_are_private_and_its_own(example: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE((example / "secrets.toml").stat().st_mode) == 0o600
    lockgate("init", tmp_path / "other")
    one, two = (load_secrets(folder / "secrets.toml") for folder in (example, tmp_path / "other"))
    assert {*one.outer.values(), *one.inner.values()}.isdisjoint({*two.outer.values(), *two.inner.values()})


def test_the_defaults_shown_in_the_example_are_the_defaults(example: Path) -> None:
    """With every commented default written out, the document means the same."""
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
    for side, other in ((one.outer, two.outer), (one.inner, two.inner)):
        assert (side.us().domain, side.lowers(), side.uppers()) == (
            other.us().domain,
            other.lowers(),
            other.uppers(),
        )
        assert (side.port, side.receive_buffer) == (other.port, other.receive_buffer)
    assert (one.log, one.media, one.gateway) == (two.log, two.media, two.gateway)


def test_init_overwrites_nothing(example: Path) -> None:
    (example / "gateway.toml").unlink()
    before = (example / "secrets.toml").read_text()
    result = lockgate("init", example)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "secrets.toml is already there and stays as it is." in result.stderr
    assert (example / "secrets.toml").read_text() == before
    assert not (example / "gateway.toml").exists()


def test_init_says_when_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = lockgate("init", tmp_path / "file" / "site")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_init_writes_here_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert lockgate("init").exit_code == 0
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
    (example / "secrets.toml").chmod(0o644)
    result = lockgate("check", "--config", example / "gateway.toml")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: ")
    assert result.stdout.startswith("ok\n")


def play_app(monkeypatch: pytest.MonkeyPatch, run: Callable[[Config], int]) -> None:
    """In place of the gateway itself."""
    fake = ModuleType("gateway.app")
    vars(fake)["run"] = run
    monkeypatch.setitem(sys.modules, "gateway.app", fake)
    monkeypatch.setattr("gateway.app", fake, raising=False)
    monkeypatch.setattr("gateway.log.setup", lambda level, form: None)


def test_run_gives_the_configuration_to_the_gateway_and_returns_its_code(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Config] = []

    def served(config: Config) -> int:
        given.append(config)
        return 7

    play_app(monkeypatch, served)
    assert lockgate("run", "--config", example / "gateway.toml").exit_code == 7
    assert given == [load(example / "gateway.toml")]


@pytest.mark.parametrize(
    "error",
    [AuditUnavailable("The disk is full."), StoreUnavailable("The disk is full."), OSError(98, "In use")],
)
def test_run_says_in_a_sentence_why_it_cannot(
    example: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def served(config: Config) -> int:
        raise error

    play_app(monkeypatch, served)
    result = lockgate("run", "--config", example / "gateway.toml")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"The gateway cannot run: {error}")
    assert len(result.stderr.splitlines()) == 1


def test_run_with_a_wrong_configuration_starts_nothing(example: Path) -> None:
    (example / "secrets.toml").unlink()
    result = lockgate("run", "--config", example / "gateway.toml")
    assert result.exit_code == 2
    assert "secrets.toml" in result.stderr


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
    assert lockgate("audit", "verify", audit_file).exit_code == 1
    Audit(audit_file).close()
    result = lockgate("audit", "verify", audit_file)
    assert result.exit_code == 0
    assert "1 torn by a crash" in result.stdout


def test_an_audit_file_that_cannot_be_read_exits_2(tmp_path: Path) -> None:
    result = lockgate("audit", "verify", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


@pytest.mark.parametrize("arguments", [["nonsense"], ["run", "--nonsense"], ["audit", "verify"]])
def test_misuse_exits_2(arguments: list[str]) -> None:
    result = lockgate(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_the_program_itself_starts_and_checks(example: Path) -> None:
    command = [sys.executable, "-m", "gateway", "check", "--config", str(example / "gateway.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ok\n")
