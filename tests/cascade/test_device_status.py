from hypothesis import given
from hypothesis import strategies as st

from cascade.manscdp import device_status
from cascade.manscdp.wire import NamesOf
from cascade.model.commands.device_status import AskDeviceStatus, DeviceStatus
from cascade.model.ids import ChannelId, PeerName, PlatformId
from tests.cascade.vectors import Vector, vectors

PEER = PlatformId("44010600001180000001")
BELOW = NamesOf(PEER)
TARGET = ChannelId(PEER, PeerName("44010600001320000001"))

SWITCHES = st.none() | st.booleans()
ANSWERS = st.builds(
    DeviceStatus,
    target=st.just(TARGET),
    result=st.sampled_from(["ok", "error"]),
    online=st.booleans(),
    working=st.booleans(),
    reason=st.sampled_from(["", "断网", "a<b"]),
    encoding=SWITCHES,
    recording=SWITCHES,
    device_time=st.sampled_from(["", "2025-06-01T08:00:00"]),
)


@vectors("device_status")
def test_answers_are_read_as_the_vectors_say(vector: Vector) -> None:
    expected = dict(vector.expected)
    target = ChannelId(PEER, PeerName(expected.pop("target")))
    assert device_status.ANSWER.read(vector.body, BELOW) == DeviceStatus(target=target, **expected)


@given(ANSWERS, st.sampled_from(["GB2312", "GB18030", "UTF-8"]))
def test_what_is_written_is_read_back(answer: DeviceStatus, charset: str) -> None:
    body = device_status.ANSWER.write(answer, sn=1, names=BELOW, charset=charset)
    assert device_status.ANSWER.read(body, BELOW) == answer


def test_a_question_is_read_back() -> None:
    question = AskDeviceStatus(target=TARGET)
    assert (
        device_status.QUESTION.read(device_status.QUESTION.write(question, sn=9, names=BELOW), BELOW)
        == question
    )
