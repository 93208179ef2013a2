"""The catalogue of operators' words: whole in each language, and no word without use.

Keys are literals in the code, so most of this is read off the source.
"""

import ast
import logging
import re
import string
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

import gateway
from gateway.log import ConsoleFormatter, JsonFormatter, fields
from gateway.words import ENGLISH, LANGUAGES, Language, Words, catalogue, printable, saying
from gateway.words.choice import language_named, of_locale, take_option
from gateway.words.events import EXPLAINED
from gateway.words.sentences import SECTION
from gateway.words.system import reason
from tests.gateway.test_log import written

ROOT: Final = Path(gateway.__file__).parents[1]
PACKAGES: Final = ("gateway", "cascade", "sip", "media", "certs", "interop")
EXCEPT: Final = ROOT / "gateway" / "words" / "__init__.py"
"""It fills in keys that are handed to it."""

CHINESE: Final = re.compile(r"[\u4e00-\u9fff]")


class Use(NamedTuple):
    key: str
    fields: frozenset[str]
    place: str


def calls() -> Iterator[tuple[ast.Call, str]]:
    """Each call of `saying(…)` and `….say(…)` in the gateway."""
    for file in sorted((ROOT / "gateway").rglob("*.py")):
        if file == EXCEPT:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                name = node.func.id if isinstance(node.func, ast.Name) else name
                if name in {"say", "saying"}:
                    yield node, f"{file.relative_to(ROOT)}:{node.lineno}"


def uses() -> Iterator[Use]:
    for call, place in calls():
        (key,) = call.args
        assert isinstance(key, ast.Constant), f"{place}: the key is not written out"
        fields = frozenset(word.arg or "**" for word in call.keywords)
        yield Use(str(key.value), fields, place)


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
    """Those under `sentence` stand for what other code says: tests/gateway/test_sentences.py."""
    said = {key for key in catalogue("en") if key.startswith(SECTION)}
    assert set(catalogue("en")) - {use.key for use in uses()} == said


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_is_calm_and_knows_no_insides(language: Language) -> None:
    def holds(key: str, text: str) -> bool:
        return (
            not re.search("[!！]", text)
            and not internal_names().intersection(re.findall(r"[A-Za-z_]+", text))
            and all(name.isidentifier() for name in placeholders(text))
            and len(text.splitlines()) == 1
            and (text.strip() == text or key == "help.usage" or key.startswith("fits."))
        )

    assert breaking(language, holds) == []


def test_a_text_is_in_its_language() -> None:
    def plain(text: str) -> str:
        return re.sub(r"\{[^}]*\}", "", text)

    def punctuated(text: str) -> bool:
        return not re.search(r"[\u4e00-\u9fff][,;:?]|[,;:?][\u4e00-\u9fff]", plain(text))

    def chinese(text: str) -> bool:
        return bool(CHINESE.search(plain(text))) or not re.search(r"[A-Za-z]", plain(text))

    assert breaking("zh", lambda _key, text: chinese(text)) == []
    assert breaking("zh", lambda _key, text: punctuated(text)) == []
    assert breaking("en", lambda _key, text: not CHINESE.search(plain(text))) == []


@pytest.mark.parametrize(("language", "ends"), [("zh", r"[。；：]"), ("en", r"[.:;](?= |$)")])
def test_a_problem_is_said_with_what_to_do(language: Language, ends: str) -> None:
    """Two sentences at least: what is wrong, and what to write."""

    def holds(key: str, text: str) -> bool:
        return not key.startswith("config.") or len(re.findall(ends, re.sub(r"\{[^}]*\}", "x", text))) >= 2

    assert breaking(language, holds) == []


@cache
def internal_names() -> frozenset[str]:
    """Our classes with more than one word in their names."""
    return frozenset(
        node.name
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and re.search(r"[a-z][A-Z]", node.name)
    )


def test_a_saying_is_rendered_in_either_language_with_what_is_inside_it() -> None:
    said = saying("config.misfit", value="5", wanted=saying("fits.list", item=saying("fits.text")))
    assert str(said) == "5 does not fit. Write a list in brackets, of which each is a text in quotes."
    assert Words("zh").render(said) == "5 不合适。请写：方括号中的列表，其中每一项为带引号的文本。"
    assert said == saying("config.misfit", value="5", wanted=saying("fits.list", item=saying("fits.text")))


def test_a_field_is_never_read_as_a_text_with_placeholders() -> None:
    assert "{key.__class__}" in ENGLISH.say("config.no_table", key="{key.__class__}")


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[2Jb", "a\u202eb", "a\udc80b"])
def test_a_field_adds_no_line_and_moves_no_cursor(text: str) -> None:
    shown = ENGLISH.say("config.selector", selector=text)
    assert shown.isprintable()
    assert shown.encode("utf-8")
    assert printable("摄像机 é") == "摄像机 é"


@pytest.mark.parametrize(
    ("tag", "language"),
    [("zh", "zh"), ("zh_CN.UTF-8", "zh"), ("zh-Hans-CN", "zh"), ("ZH_cn.GB18030", "zh"), ("en_US", "en")],
)
def test_a_language_is_found_by_its_first_part(tag: str, language: Language) -> None:
    assert language_named(tag) == language


@pytest.mark.parametrize("tag", ["", "fr", "C", "zhx", "en zh"])
def test_a_language_that_we_lack_is_none(tag: str) -> None:
    assert language_named(tag) is None


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "tlh"}, "en"),
    ],
)
def test_the_locale_chooses_as_posix_has_it(environment: dict[str, str], language: Language) -> None:
    assert of_locale(environment) == language


@pytest.mark.parametrize(
    ("given", "asked", "left"),
    [
        (["check"], None, ["check"]),
        (["--lang", "zh", "check", "-c", "x"], "zh", ["check", "-c", "x"]),
        (["check", "--lang=en"], "en", ["check"]),
        (["--lang", "en", "check", "--lang", "zh"], "zh", ["check"]),
        (["check", "--lang"], "", ["check"]),
        (["audit", "verify", "--", "--lang"], None, ["audit", "verify", "--", "--lang"]),
    ],
)
def test_the_option_may_stand_anywhere(given: list[str], asked: str | None, left: list[str]) -> None:
    assert take_option(given) == (asked, left)


def test_common_errors_of_the_system_are_told_and_others_quoted() -> None:
    zh = Words("zh")
    assert str(reason(FileNotFoundError(2, "No such file or directory"))) == "No such file or directory"
    assert zh.render(reason(PermissionError(13, "Permission denied"))) == "权限不足"
    assert zh.render(reason(OSError(38, "Function not implemented"))) == "系统报告“Function not implemented”"
    assert str(reason(OSError("odd"))) == "odd"


@pytest.mark.parametrize("form", [ConsoleFormatter, JsonFormatter])
def test_the_log_explains_an_event_in_the_operators_language(
    form: type[ConsoleFormatter] | type[JsonFormatter],
) -> None:
    """The name of the event and its facts stay as they are."""
    english, chinese = (
        written(form(Words(language)), "registrations.refused", count=3) for language in LANGUAGES
    )
    for line in (english, chinese):
        assert "registrations.refused" in line
    assert "wrong password" in english
    assert not CHINESE.search(english)
    assert "口令错误" in chinese
    trouble = saying("trouble.malformed.what")
    assert "datagrams were no SIP message" in written(form(), "sip.trouble", what=trouble)
    assert "不是 SIP 消息" in written(form(Words("zh")), "sip.trouble", what=trouble)


class Troubling(NamedTuple):
    """A warning or an error, as its place in the source has it."""

    event: str
    fields: frozenset[str]
    trace: bool
    place: str


def troubling() -> Iterator[Troubling]:
    for package in sorted({*PACKAGES} - {"interop"}):
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[*_, event]):
                        if level in {"warning", "error", "exception", "log"}:
                            extra = next((word.value for word in node.keywords if word.arg == "extra"), None)
                            trace = level == "exception" or any(w.arg == "exc_info" for w in node.keywords)
                            assert isinstance(event, ast.Constant), f"{file}:{node.lineno}"
                            place = f"{file.relative_to(ROOT)}:{node.lineno}"
                            yield Troubling(str(event.value), _keys(extra), trace, place)


def _keys(extra: ast.expr | None) -> frozenset[str]:
    """A `**` among them stands for what `gateway.side.troubles` adds."""
    if not isinstance(extra, ast.Dict):
        return frozenset()
    added = {"what", "remedy"} if None in extra.keys else set()
    return frozenset(added | {str(key.value) for key in extra.keys if isinstance(key, ast.Constant)})


@pytest.mark.parametrize("trouble", [pytest.param(each, id=each.place) for each in troubling()])
def test_every_warning_and_error_says_what_happened_and_what_to_do(trouble: Troubling) -> None:
    """In words of the catalogue beside its event; a `problem` says it all itself, and a trace is a bug."""
    told = trouble.fields | EXPLAINED.get(trouble.event, {}).keys()
    if "problem" not in told and (trouble.event in EXPLAINED or not trouble.trace):
        assert told & {"what", "why"}, trouble
        assert "remedy" in told, trouble


def test_only_troubles_are_explained() -> None:
    assert EXPLAINED.keys() <= {trouble.event for trouble in troubling()}


def test_a_trace_asks_to_be_reported_and_what_is_no_trouble_is_not_explained() -> None:
    record = logging.makeLogRecord({"msg": "timer.turn_failed", "levelno": logging.ERROR})
    record.exc_info = (ValueError, ValueError("x"), None)
    assert "缺陷" in ConsoleFormatter(Words("zh")).format(record)
    synced = logging.makeLogRecord({"msg": "catalog.synced", "levelno": logging.INFO, "outcome": "complete"})
    assert fields(synced) == {"outcome": "complete"}
    synced.levelno = logging.WARNING
    assert fields(synced, Words("zh"))["what"] == "下级的目录没有收全"
