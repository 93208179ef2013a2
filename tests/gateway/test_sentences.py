"""Plain English of the code below is known to the catalogue, all of it and nothing else."""

import tomllib
from typing import Final, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.crossing import End, Failure
from gateway.words import Saying, Words, catalogue, saying
from gateway.words.sentences import MAX_CHARACTERS, SECTION, recognised
from tests.gateway.sentences import QUIET_RUST, Sentence, of_python, of_rust, of_tomllib, rust, skeleton

CHINESE: Final = Words("zh")

NOT_SHOWN: Final = frozenset(
    {
        "an offset into a message",  # the Rust code stops
        "CANCEL is sent by cancel(), which knows its INVITE",  # a bug of ours, in a trace
        "{} {}",  # a CSeq
        "no limit is called {}",  # a bug of ours, in a trace
        "no even port from {} to {}",  # the configuration is refused before
    }
)

KNOWN: Final = {skeleton(text): key for key, text in catalogue("en").items() if key.startswith(SECTION)}

WORDS: Final = [
    Sentence(word, "cascade/crossing.py") for word in (*get_args(End), *get_args(Failure)) if word
]
SAID: Final = [
    sentence
    for sentence in (*of_python(), *of_rust(), *of_tomllib(), *WORDS)
    if sentence.skeleton not in NOT_SHOWN
]


def test_every_sentence_of_the_code_is_in_the_catalogue() -> None:
    assert [sentence for sentence in SAID if sentence.skeleton not in KNOWN] == []


def test_every_sentence_of_the_catalogue_is_said_by_the_code() -> None:
    assert set(KNOWN) - {sentence.skeleton for sentence in SAID} == set()


def test_no_two_sentences_look_alike() -> None:
    assert len(KNOWN) == sum(key.startswith(SECTION) for key in catalogue("en"))


def test_quiet_files_are_there_and_have_something_to_say() -> None:
    assert {name for name, sentences in rust().items() if sentences} >= QUIET_RUST


def test_what_is_not_shown_is_still_there() -> None:
    assert {sentence.skeleton for sentence in (*of_python(), *of_rust())} >= NOT_SHOWN


def test_each_is_recognised_as_itself() -> None:
    """With a number and a word in its placeholders, and a sentence where one belongs."""
    for key in KNOWN.values():
        shown = catalogue("en")[key].replace("{why}", "missing").replace("{more}", "missing")
        said = recognised(skeleton(shown).replace("{}", "3"))
        assert isinstance(said, Saying), key
        assert said.key == key


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nobody watches", "已无人观看"),
        ("3 keepalives without answer", "3 次保活没有应答"),
        ("REGISTER answered 403 Forbidden", "REGISTER 得到的应答是 403 Forbidden"),
        ("DeviceID: not a name: 'a b'", "设备编码 DeviceID：不是编码：'a b'"),
        ("Port: not a number: '80: 81'", "Port：不是数字：'80: 81'"),
        ("too many elements (byte 7 of the text)", "元素太多（文本第 7 字节）"),
        ("REGISTER: Network is unreachable (os error 101)", "REGISTER：网络不可达"),
        ("10.1.0.1 port 30: Address already in use (os error 98)", "10.1.0.1 端口 30：地址或端口已被占用"),
        ("its socket failed: Odd thing (os error 9999)", "其套接字出错：系统报告“Odd thing”"),
        ("the socket to the other host failed: kind 9", "到另一台主机的套接字出错：种类为 9"),
        ("missing; a second root (byte 9 of the text)", "缺少；有第二个根元素（文本第 9 字节）"),
    ],
)  # fmt: skip
def test_a_sentence_is_shown_in_the_operators_language(text: str, shown: str) -> None:
    said = recognised(text)
    assert isinstance(said, Saying)
    assert CHINESE.render(said) == shown


@pytest.mark.parametrize(
    "text", ["486 Busy Here", "488 no video", "Warning: too hot", "a: b: c", "", "x" * (MAX_CHARACTERS + 1)]
)
def test_what_others_wrote_stays_as_it_is(text: str) -> None:
    assert recognised(text) == text


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["a: ", "not a number: ", "; ", " (byte 1)", "x"]), max_size=300).map("".join)
)
def test_any_text_is_looked_at_quickly_and_said_in_english_as_it_was(text: str) -> None:
    assert str(recognised(text)) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x = = 1", "第 1 行第 5 列：不是有效的值"),
        ("[outer]\n[outer]", "第 2 行第 7 列：outer 重复声明"),
        ("[[a]]\n[a.b]\n[a.b]", "第 3 行第 5 列：a.b 重复声明"),
        ("a = {b = 1, b = 2}", "第 1 行第 18 列：行内表中的键 b 重复"),
        ("a = [1", "文件末尾：列表没有用 “]” 结束"),
        ('a = "x', "文件末尾：文本没有用引号结束"),
        ("a 1", "第 1 行第 3 列：键之后应有 “=”"),
    ],
)
def test_a_broken_file_is_told_by_line_column_and_kind(text: str, shown: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as broken:
        tomllib.loads(text)
    said = recognised(str(broken.value))
    assert isinstance(said, Saying)
    assert CHINESE.render(said) == shown


@settings(deadline=None)
@given(st.text())
def test_any_broken_file_is_told_in_chinese(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = recognised(str(error))
    else:
        said = saying("config.nested")
    assert isinstance(said, Saying)
