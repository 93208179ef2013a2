"""The words of the demo and the simulators: whole in each language, and no word without use.

Keys are literals in the code, so most of this is read off the source, as in tests/gateway/test_words.py.
"""

import ast
import re
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

import interop
from interop.demo.judging import PROMISES, Expected, promises
from interop.demo.report import HostsReport, Report
from interop.sim import telling
from interop.words import ENGLISH, LANGUAGES, Language, Saying, Words, catalogue, saying
from interop.words.choice import choose, language_named, of_locale

ROOT: Final = Path(interop.__path__[0])
EXCEPT: Final = ROOT / "words" / "__init__.py"
"""It fills in keys that are handed to it."""

CHINESE: Final = re.compile(r"[\u4e00-\u9fff]")


class Use(NamedTuple):
    key: str
    fields: frozenset[str]
    place: str


def uses() -> Iterator[Use]:
    """Each call of `saying(…)` and `….say(…)` whose first argument is a key; the reporter's has none."""
    for file in sorted(ROOT.rglob("*.py")):
        if file == EXCEPT:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = ast.unparse(node.func)
            if called.rpartition(".")[2] not in {"say", "saying"} or called in {"reporter.say", "self.say"}:
                continue
            (key,) = node.args
            place = f"{file.relative_to(ROOT)}:{node.lineno}"
            assert isinstance(key, ast.Constant), f"{place}: the key is not written out"
            yield Use(str(key.value), frozenset(word.arg or "**" for word in node.keywords), place)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def breaking(language: Language, holds: Callable[[str, str], object]) -> list[str]:
    """Keys and texts for which that does not hold."""
    return [f"{key}: {text}" for key, text in catalogue(language).items() if not holds(key, text)]


def test_all_languages_have_the_same_keys_in_the_same_order() -> None:
    assert list(catalogue("zh")) == list(catalogue("en"))


def test_a_key_has_the_same_placeholders_in_all_languages() -> None:
    for key, text in catalogue("en").items():
        assert placeholders(catalogue("zh")[key]) == placeholders(text), key


def test_what_the_code_says_is_in_the_catalogue_with_all_its_fields() -> None:
    for use in uses():
        assert use.key in catalogue("en"), use.place
        assert use.fields == placeholders(catalogue("en")[use.key]), use.place


def test_every_text_is_used() -> None:
    assert set(catalogue("en")) - {use.key for use in uses()} == set()


def test_every_status_line_has_its_words() -> None:
    """What `reporter.say` tells is an event of the table; figures without an entry keep their names."""
    told = set()
    for file in sorted((ROOT / "sim").rglob("*.py")):
        told |= set(re.findall(r'(?:reporter|self)\.say\(\s*"(\w+)"', file.read_text(encoding="utf-8")))
    assert told == set(telling.EVENTS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_is_calm_and_one_line(language: Language) -> None:
    def holds(key: str, text: str) -> bool:
        trimmed = text.strip() == text or key in {"usage.usage", "event.and"}
        return not re.search("[!！]", text) and len(text.splitlines()) == 1 and trimmed

    assert breaking(language, holds) == []


def test_a_text_is_in_its_language() -> None:
    def plain(text: str) -> str:
        return re.sub(r"\{[^}]*\}", "", text)

    def punctuated(text: str) -> bool:
        return not re.search(r"[\u4e00-\u9fff][,;:?]|[,;:?][\u4e00-\u9fff]", plain(text))

    def chinese(text: str) -> bool:
        shown = plain(text)
        return bool(CHINESE.search(shown)) or not re.search(r"[A-Za-z]", shown.replace("Mbit/s", ""))

    assert breaking("zh", lambda _key, text: chinese(text)) == []
    assert breaking("zh", lambda _key, text: punctuated(text)) == []
    assert breaking("en", lambda _key, text: not CHINESE.search(plain(text))) == []


@pytest.mark.parametrize(("language", "ends"), [("zh", r"[。；：.]"), ("en", r"[.:;](?= |$)")])
def test_a_problem_is_said_with_why_or_what_to_do(language: Language, ends: str) -> None:
    """Two sentences at least, a field that holds one counted; a remedy is one itself."""
    alone = {"never.mute", "never.forbidden", "never.declined", "video.none", "problem.unplayed"}

    def holds(key: str, text: str) -> bool:
        if key in alone or not key.startswith(("problem.", "never.", "video.", "trouble.")):
            return True
        return len(re.findall(ends, re.sub(r"\{(problems|remedy)\}", "x.", text))) >= 2

    assert breaking(language, holds) == []


def test_every_promise_has_a_name() -> None:
    whole = Report(seconds=1.0, hosts=HostsReport(namespaces=[]))
    judged = [promise.name for promise in promises(whole, Expected(1, 1, 1))]
    assert judged == list(PROMISES)


def test_a_saying_survives_the_report_and_is_rendered_in_either_language() -> None:
    said = saying("problem.ptz", told=saying("told.status", status=200))
    again = msgspec.json.decode(msgspec.json.encode(said), type=Saying)
    assert again == said
    assert str(again).startswith("PTZ, which a rule forbids, was refused with 200 instead of")
    assert Words("zh").render(again).startswith("规则禁止云台控制，结果却是：以 200 拒绝")


def test_a_field_adds_no_line_and_is_no_template() -> None:
    shown = ENGLISH.say("why.other", text="{key}\n\x1b[2J")
    assert shown == "{key}\\n\\x1b[2J"


@pytest.mark.parametrize(
    ("arguments", "environment", "language", "left"),
    [
        (["--seconds", "3"], {"LANG": "zh_CN.UTF-8"}, "zh", ["--seconds", "3"]),
        (["--lang", "en", "x"], {"LANG": "zh_CN.UTF-8"}, "en", ["x"]),
        (["x", "--lang=zh_CN"], {}, "zh", ["x"]),
        (["--", "--lang", "zh"], {"LC_ALL": "C", "LANG": "zh_CN"}, "en", ["--", "--lang", "zh"]),
    ],
)
def test_the_option_may_stand_anywhere_and_else_the_locale_chooses(
    arguments: list[str], environment: dict[str, str], language: Language, left: list[str]
) -> None:
    words, rest = choose(arguments, environment)
    assert (words.language, rest) == (language, left)


@pytest.mark.parametrize("asked", [["--lang", "fr"], ["--lang"]])
def test_a_language_that_we_lack_is_told_in_that_of_the_locale(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        choose(asked, {"LANG": "zh_CN.UTF-8"})
    assert ended.value.code == 2
    assert "请在 --lang 后写下列之一：en, zh" in capsys.readouterr().err


def test_languages_are_named_as_in_the_gateway() -> None:
    """Two mechanisms, one behaviour."""
    from gateway.words import LANGUAGES as THEIRS
    from gateway.words.choice import language_named as their_name
    from gateway.words.choice import of_locale as their_choice

    assert LANGUAGES == THEIRS
    for tag in ("zh", "zh_CN.UTF-8", "ZH-hans", "en_US", "", "fr", "zhx"):
        assert language_named(tag) == their_name(tag)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"):
        for value in ("zh_CN", "C", ""):
            assert of_locale({name: value, "LANG": "zh"}) == their_choice({name: value, "LANG": "zh"})
