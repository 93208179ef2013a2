import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import BadCommand
from cascade.manscdp import commands, device_info, head
from cascade.manscdp.wire import NamesOf
from cascade.model.commands.device_info import AskDeviceInfo, DeviceInfo
from cascade.model.ids import ChannelId, PeerName, PlatformId
from tests.cascade.vectors import Vector, vectors

PEER = PlatformId("44010600001180000001")
BELOW = NamesOf(PEER)
TARGET = ChannelId(PEER, PeerName("44010600001180000001"))

TEXTS = st.text(st.characters(codec="gb2312", exclude_categories=["Cc"]), max_size=30).map(str.strip)
ANSWERS = st.builds(
    DeviceInfo,
    target=st.just(TARGET),
    result=st.sampled_from(["ok", "error"]),
    name=TEXTS.filter(lambda text: text.lower() != "null"),
    manufacturer=st.just("门口&<>"),
    firmware=st.just(""),
    channels=st.none() | st.integers(0, 10_000),
)


@vectors("device_info")
def test_answers_are_read_as_the_vectors_say(vector: Vector) -> None:
    if vector.refused:
        with pytest.raises(BadCommand):
            device_info.ANSWER.read(vector.body, BELOW)
        return
    expected = dict(vector.expected)
    target = ChannelId(PEER, PeerName(expected.pop("target")))
    assert device_info.ANSWER.read(vector.body, BELOW) == DeviceInfo(target=target, **expected)


@given(ANSWERS)
def test_what_is_written_is_read_back(answer: DeviceInfo) -> None:
    body = device_info.ANSWER.write(answer, sn=1, names=BELOW, charset="UTF-8")
    assert device_info.ANSWER.read(body, BELOW) == answer


def test_a_question_has_the_head_that_finds_its_table() -> None:
    body = device_info.QUESTION.write(AskDeviceInfo(target=TARGET), sn="17", names=BELOW)
    found = head(body)
    assert found is not None
    assert (found.root, found.cmd_type, found.sn, found.device_id) == (
        "Query",
        "DeviceInfo",
        "17",
        TARGET.name,
    )
    assert commands.wire(found.root, found.cmd_type) is device_info.QUESTION
    assert commands.wire("Query", "RecordInfo") is None
    assert device_info.QUESTION.read(body, BELOW) == AskDeviceInfo(target=TARGET)


def test_a_body_of_another_command_is_refused() -> None:
    body = device_info.QUESTION.write(AskDeviceInfo(target=TARGET), sn=1, names=BELOW)
    with pytest.raises(BadCommand):
        device_info.ANSWER.read(body, BELOW)


def test_elements_stand_in_the_order_of_the_schema() -> None:
    answer = DeviceInfo(
        target=TARGET, result="ok", name="n", manufacturer="m", model="o", firmware="f", channels=3
    )
    text = device_info.ANSWER.write(answer, sn=1, names=BELOW).decode()
    tags = [
        "CmdType",
        "SN",
        "DeviceID",
        "DeviceName",
        "Result",
        "Manufacturer",
        "Model",
        "Firmware",
        "Channel",
    ]
    assert [text.index(f"<{tag}>") for tag in tags] == sorted(text.index(f"<{tag}>") for tag in tags)


def test_a_channel_of_somebody_else_is_not_written() -> None:
    other = ChannelId(PlatformId("another"), PeerName("1"))
    with pytest.raises(ValueError, match="not of"):
        device_info.QUESTION.write(AskDeviceInfo(target=other), sn=1, names=BELOW)
