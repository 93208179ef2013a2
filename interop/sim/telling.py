"""Status lines: JSON for programs, and for people the same in words."""

import json
from typing import Final

from interop.words import Saying, Words, saying

EVENTS: Final[dict[str, Saying]] = {
    "started": saying("event.started"),
    "status": saying("event.status"),
    "fleet_registered": saying("event.fleet_registered"),
    "ended": saying("event.ended"),
    "registered": saying("event.registered"),
    "device_info": saying("event.device_info"),
    "query_failed": saying("event.query_failed"),
    "catalog": saying("event.catalog"),
    "playing": saying("event.playing"),
    "played": saying("event.played"),
    "refused": saying("event.refused"),
    "speaking": saying("event.speaking"),
    "spoken": saying("event.spoken"),
    "complaint": saying("event.complaint"),
    "rang": saying("event.rang"),
    "alarm": saying("event.alarm"),
    "subscribed": saying("event.subscribed"),
    "changed": saying("event.changed"),
}

FIGURES: Final[dict[str, Saying]] = {
    "about": saying("figure.about"),
    "address": saying("figure.address"),
    "alarms": saying("figure.alarms"),
    "announced": saying("figure.announced"),
    "answer": saying("figure.answer"),
    "camera": saying("figure.camera"),
    "cameras": saying("figure.cameras"),
    "catalogs": saying("figure.catalogs"),
    "change": saying("figure.change"),
    "channel": saying("figure.channel"),
    "channels": saying("figure.channels"),
    "complete": saying("figure.complete"),
    "delay_ms": saying("figure.delay_ms"),
    "delay_p99_ms": saying("figure.delay_p99_ms"),
    "delayed": saying("figure.delayed"),
    "doubled": saying("figure.doubled"),
    "description": saying("figure.description"),
    "ended": saying("figure.ended"),
    "event_type": saying("figure.event_type"),
    "frames": saying("figure.frames"),
    "frames_lost": saying("figure.frames_lost"),
    "frames_repeated": saying("figure.frames_repeated"),
    "frames_sent": saying("figure.frames_sent"),
    "id": saying("figure.id"),
    "items": saying("figure.items"),
    "keepalive_ms": saying("figure.keepalive_ms"),
    "keepalive_p99_ms": saying("figure.keepalive_p99_ms"),
    "keepalives": saying("figure.keepalives"),
    "kind": saying("figure.kind"),
    "last_error": saying("figure.last_error"),
    "latitude": saying("figure.latitude"),
    "listener": saying("figure.listener"),
    "longitude": saying("figure.longitude"),
    "lost": saying("figure.lost"),
    "method": saying("figure.method"),
    "packets": saying("figure.packets"),
    "packets_lost": saying("figure.packets_lost"),
    "packets_sent": saying("figure.packets_sent"),
    "pages": saying("figure.pages"),
    "passed": saying("figure.passed"),
    "playing": saying("figure.playing"),
    "priority": saying("figure.priority"),
    "put_off": saying("figure.put_off"),
    "queries": saying("figure.queries"),
    "reason": saying("figure.reason"),
    "refused": saying("figure.refused"),
    "register_ms": saying("figure.register_ms"),
    "register_p99_ms": saying("figure.register_p99_ms"),
    "registered": saying("figure.registered"),
    "registrations": saying("figure.registrations"),
    "reordered": saying("figure.reordered"),
    "retransmitted": saying("figure.retransmitted"),
    "seconds": saying("figure.seconds"),
    "setup_ms": saying("figure.setup_ms"),
    "sn": saying("figure.sn"),
    "snapshot": saying("figure.snapshot"),
    "strangers": saying("figure.strangers"),
    "streams": saying("figure.streams"),
    "target": saying("figure.target"),
    "time": saying("figure.time"),
    "unreadable": saying("figure.unreadable"),
    "unsent": saying("figure.unsent"),
    "voice_packets": saying("figure.voice_packets"),
    "voices": saying("figure.voices"),
    "wrong_camera": saying("figure.wrong_camera"),
}
"""What has no entry (SSRC, SHA-256, payload type, a peer's own XML tags) is called by its name."""


def as_json(event: str, values: dict[str, object]) -> str:
    """One object on one line. A `Saying` is in English whatever the user reads: programs compare it."""
    return json.dumps({"event": event, **values}, ensure_ascii=False, default=str)


def as_words(event: str, values: dict[str, object], words: Words) -> str:
    """One line: what happened, and each figure by its name; what is not known is left out."""
    named = [
        words.say("figure.pair", name=FIGURES.get(name, name), value=_shown(value))
        for name, value in values.items()
        if value is not None
    ]
    what = words.render(EVENTS[event])
    if not named:
        return what
    return words.say("event.line", what=what, figures=words.say("event.and").join(named))


def _shown(value: object) -> Saying | str | int | float:
    if isinstance(value, bool):
        return saying("figure.yes") if value else saying("figure.no")
    return value if isinstance(value, Saying | str | int | float) else str(value)
