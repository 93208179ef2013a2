"""What each limit of `[SIDE.limits]` says where it is met: what came of it, and what to do."""

from typing import Final

from gateway.words import saying

LIMITS: Final = {
    "requests": {"what": saying("limit.requests.what"), "remedy": saying("limit.requests.remedy")},
    "events": {"what": saying("limit.events.what"), "remedy": saying("limit.events.remedy")},
    "nonces": {"what": saying("limit.nonces.what"), "remedy": saying("limit.nonces.remedy")},
    "connections": {"what": saying("limit.connections.what"), "remedy": saying("limit.connections.remedy")},
    "connections_of_source": {
        "what": saying("limit.connections_of_source.what"),
        "remedy": saying("limit.connections_of_source.remedy"),
    },
    "dialling": {"what": saying("limit.dialling.what"), "remedy": saying("limit.dialling.remedy")},
    "unsent_bytes": {
        "what": saying("limit.unsent_bytes.what"),
        "remedy": saying("limit.unsent_bytes.remedy"),
    },
    "strangers_waiting": {
        "what": saying("limit.strangers_waiting.what"),
        "remedy": saying("limit.strangers_waiting.remedy"),
    },
    "strangers_a_second": {
        "what": saying("limit.strangers_a_second.what"),
        "remedy": saying("limit.strangers_a_second.remedy"),
    },
    "strangers_of_source": {
        "what": saying("limit.strangers_of_source.what"),
        "remedy": saying("limit.strangers_of_source.remedy"),
    },
    "answers": {"what": saying("limit.answers.what"), "remedy": saying("limit.answers.remedy")},
}
