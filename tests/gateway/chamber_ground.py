"""What the chamber's tests stand on: two sides, a channel of each kind, crossings of each kind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from hypothesis import strategies as st

from cascade.crossing import (
    Answer,
    Ask,
    CatalogBatch,
    Crossing,
    Encoding,
    End,
    NoAnswer,
    Notice,
    StreamControl,
    StreamEnded,
    StreamOffered,
    StreamOpen,
)
from cascade.model.commands.broadcast import AskBroadcast, Broadcast
from cascade.model.commands.device_control import ControlPtz, Movement
from cascade.model.commands.device_info import AskDeviceInfo, DeviceInfo
from cascade.model.commands.device_status import AskDeviceStatus, DeviceStatus
from cascade.model.commands.presence import PeerState, Presence
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Rows
from cascade.ports import Verdict
from gateway.chamber.audit import AuditUnavailable
from gateway.chamber.policy import NOWHERE, Place
from gateway.chamber.record import Post, describe
from gateway.chamber.rules import Rule
from gateway.words import saying

LOWER = PlatformId("44010000002000000001")
UPPER = PlatformId("44000000002000000001")
OTHER_UPPER = PlatformId("44000000002000000002")
ROADS = "44010000002150000001"
SCHOOLS = "44010000002150000002"


def channel(number: int) -> ChannelId:
    return ChannelId(LOWER, PeerName(f"44010000001320{number:06d}"))


ROAD_CAMERA, SCHOOL_CAMERA, NEITHER = channel(1), channel(2), channel(3)
POLICE, COUNCIL = "交警支队", "Education council"
PLACES: dict[ChannelId, Place] = {ROAD_CAMERA: (ROADS, POLICE), SCHOOL_CAMERA: (SCHOOLS, COUNCIL)}


def places(key: ChannelId) -> Place:
    return PLACES.get(key, NOWHERE)


def rows(*keys: ChannelId) -> Rows:
    return Rows.build(
        [
            {"id": key.name, "name": "camera", "branch": branch, "owner": owner}
            for key in keys
            for branch, owner in [places(key)]
        ]
    )


def rule(id: str, **fields: Any) -> Rule:
    given = {"direction": "outward", "action": "*", "verdict": "allow", "channels": ("*",), **fields}
    return Rule(id=id, **given)


class Recorded:
    """An audit that keeps what it was given, or is out of order."""

    def __init__(self) -> None:
        self.entries: list[Mapping[str, Any]] = []
        self.broken = False

    def cross(self, crossing: Crossing, verdict: Verdict, post: Post) -> bytes:
        return self.record(describe(crossing, verdict, post))

    def record(self, entry: Mapping[str, Any]) -> bytes:
        if self.broken:
            raise AuditUnavailable(saying("audit_file.torn", file="audit.jsonl"))
        self.entries.append(entry)
        return b""


def ask(key: ChannelId = ROAD_CAMERA, *, correlation: int = 7, origin: PlatformId = UPPER) -> Ask[Any]:
    return Ask(correlation=correlation, origin=origin, payload=AskDeviceInfo(target=key))


def answer(key: ChannelId = ROAD_CAMERA, *, correlation: int = 7, last: bool = True) -> Answer[Any]:
    return Answer(
        correlation=correlation, origin=LOWER, payload=DeviceInfo(target=key, result="ok"), last=last
    )


def presence(*states: tuple[PlatformId, bool], origin: PlatformId = LOWER) -> Notice[Any]:
    told = tuple(PeerState(peer, online) for peer, online in states)
    return Notice(correlation=1, origin=origin, payload=Presence(states=told))


def ptz(key: ChannelId = ROAD_CAMERA) -> Notice[Any]:
    movement = Movement(pan="left", pan_speed=64)
    return Notice(correlation=9, origin=UPPER, payload=ControlPtz(target=key, movement=movement))


def stream_open(key: ChannelId = ROAD_CAMERA, *, correlation: int = 8) -> StreamOpen:
    return StreamOpen(correlation=correlation, origin=UPPER, channel=key)


def offered(key: ChannelId = ROAD_CAMERA, *, correlation: int = 8) -> StreamOffered:
    return StreamOffered(
        correlation=correlation,
        origin=LOWER,
        channel=key,
        action="media.live",
        stream="s1",
        payload_type=96,
        encoding="PS/90000",
    )


def batch(given: Rows, change: Any = "present") -> CatalogBatch:
    return CatalogBatch(correlation=1, origin=LOWER, change=change, rows=given)


_text = st.text(max_size=20)
_names = st.text(alphabet="0123456789", min_size=1, max_size=20)
_channels = st.builds(ChannelId, _names.map(PlatformId), _names.map(PeerName))
_envelope: dict[str, st.SearchStrategy[Any]] = {
    "correlation": st.integers(0, 2**63 - 1),
    "origin": _names.map(PlatformId),
    "users": st.lists(_text, max_size=3).map(tuple),
    "seconds_left": st.floats(0, 3600),
}
_status = st.builds(
    DeviceStatus,
    target=_channels,
    result=st.sampled_from(["ok", "error"]),
    online=st.booleans(),
    working=st.booleans(),
    reason=_text,
    encoding=st.none() | st.booleans(),
    device_time=_text,
)
_info = st.builds(
    DeviceInfo, target=_channels, result=st.just("ok"), name=_text, channels=st.none() | st.integers(0, 99)
)
_broadcast = st.builds(Broadcast, target=_channels, result=st.sampled_from(["ok", "error"]))
_presence = st.builds(
    Presence,
    states=st.lists(st.builds(PeerState, _names.map(PlatformId), st.booleans()), max_size=3).map(tuple),
)
_movements = st.builds(
    lambda pan, tilt: Movement(pan=pan[0], pan_speed=pan[1], tilt=tilt),
    st.just((None, 0)) | st.tuples(st.sampled_from(["left", "right"]), st.integers(0, 255)),
    st.sampled_from(["up", "down", None]),
)
_row_dicts: st.SearchStrategy[Sequence[dict[str, str]]] = st.lists(
    st.fixed_dictionaries(
        {"id": _names}, optional={"name": st.text("甲乙ab ", max_size=8), "status": st.just("ON")}
    ),
    max_size=5,
    unique_by=lambda row: row["id"],
)


def _crossing(kind: Callable[..., Crossing], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Crossing]:
    return st.builds(kind, **_envelope, **fields)


CROSSINGS: st.SearchStrategy[Crossing] = st.one_of(
    _crossing(
        Ask,
        payload=st.builds(AskDeviceInfo, target=_channels)
        | st.builds(AskDeviceStatus, target=_channels)
        | st.builds(AskBroadcast, target=_channels),
    ),
    _crossing(Answer, payload=_info | _status | _broadcast, part=st.integers(1, 9), last=st.booleans()),
    _crossing(NoAnswer, action=_text, failure=st.sampled_from(["refused", "timeout"]), rule=_text),
    _crossing(Notice, payload=_presence | st.builds(ControlPtz, target=_channels, movement=_movements)),
    _crossing(CatalogBatch, change=st.sampled_from(["present", "gone"]), rows=_row_dicts.map(Rows.build)),
    _crossing(
        StreamOpen,
        channel=_channels,
        action=_text,
        stream_number=st.integers(0, 3),
        invitation=st.integers(0, 3),
        encodings=st.lists(st.sampled_from(get_args(Encoding)), max_size=3).map(tuple),
    ),
    _crossing(
        StreamOffered,
        channel=_channels,
        action=_text,
        stream=_text,
        payload_type=st.integers(0, 127),
        encoding=_text,
        description=_text,
    ),
    _crossing(StreamControl, channel=_channels, action=_text),
    _crossing(
        StreamEnded,
        channel=_channels,
        failure=st.none() | st.just("offline"),
        reason=st.sampled_from(get_args(End)),
        rule=_text,
    ),
)
"""Any crossing there is."""
