"""What `make demo ARGS="…"` takes, and how it says what it does not take."""

from pathlib import Path

import pytest

from interop.demo.options import arguments
from interop.words import LANGUAGES, Language, Words


def test_the_defaults_are_those_of_the_help() -> None:
    wanted = arguments([], Words("en"))
    assert (wanted.seconds, wanted.cameras, wanted.plays) == (30.0, 200, 4)
    assert (wanted.out, wanted.report, wanted.no_tty, wanted.record) == (Path("demo-out"), None, False, False)


@pytest.mark.parametrize(
    ("language", "says"),
    [
        (
            "en",
            ["Usage: make demo ARGS", "--seconds SECONDS", "how long to play (30)", "Language of all words"],
        ),
        ("zh", ["用法：make demo ARGS", "--seconds SECONDS", "播放多少秒（30）", "显示语言"]),
    ],
)
def test_the_help_is_in_the_users_language(
    language: Language, says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(["--help"], Words(language))
    assert ended.value.code == 0
    page = capsys.readouterr().out
    assert [text for text in says if text not in page] == []
    assert "--break" not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_does_not_fit_is_told_and_ends_with_2(
    language: Language, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(["--seconds", "soon"], Words(language))
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert {"en": "The command line does not fit", "zh": "命令行不正确"}[language] in told
    assert "soon" in told
