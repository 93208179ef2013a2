"""What a user gets who types something wrong, or asks for help."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from interop.sim.__main__ import main
from interop.sim.cli import app, number_from
from interop.sim.station import address

SERVER = ["--server", "127.0.0.1", "--server-id", "44010000002000000001", "--password", "x"]


@pytest.mark.parametrize("command", ["device", "lower", "upper"])
def test_help_names_every_option_with_its_meaning(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "--password" in result.output
    assert "--json" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lower", *SERVER, "--id", "123"], "--id needs 20 digits"),
        (["device", *SERVER, "--charset", "LATIN1"], "--charset needs"),
        (["device", "--server", "host:port", *SERVER[2:]], "write HOST or HOST:PORT"),
        (["upper", "--password", "x"], "--platform needs"),
        (["lower", "--server", "255.255.255.255", *SERVER[2:]], "--server: 255.255.255.255 can't be"),
        (["device", *SERVER, "--id", "9" * 20, "--count", "2"], "--id needs room to count on"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert says in result.output


def test_a_video_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_text("text")
    result = CliRunner().invoke(
        app, ["device", *SERVER, "--video", str(tmp_path / "no.mp4")], env={"COLUMNS": "200"}
    )
    assert result.exit_code == 2
    assert "can't be opened as video" in result.output


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


def test_without_the_extra_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "interop.sim.cli")
    for name in [name for name in sys.modules if name.startswith("interop.sim.cam")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "av", None)  # as if it were not installed
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "av is not installed. Install lockgate with its extra: lockgate[sim]." in capsys.readouterr().err
