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
    "failures_of_source": {
        "what": saying("limit.failures_of_source.what"),
        "remedy": saying("limit.failures_of_source.remedy"),
    },
    "answers": {"what": saying("limit.answers.what"), "remedy": saying("limit.answers.remedy")},
    "questions": {"what": saying("limit.questions.what"), "remedy": saying("limit.questions.remedy")},
    "unread_bytes": {
        "what": saying("limit.unread_bytes.what"),
        "remedy": saying("limit.unread_bytes.remedy"),
    },
    "catalog_queries_a_second": {
        "what": saying("limit.catalog_queries_a_second.what"),
        "remedy": saying("limit.catalog_queries_a_second.remedy"),
    },
    "catalog_notices_waiting": {
        "what": saying("limit.catalog_notices_waiting.what"),
        "remedy": saying("limit.catalog_notices_waiting.remedy"),
    },
    "catalog_requests_of_upper": {
        "what": saying("limit.catalog_requests_of_upper.what"),
        "remedy": saying("limit.catalog_requests_of_upper.remedy"),
    },
    "notices_a_minute": {
        "what": saying("limit.notices_a_minute.what"),
        "remedy": saying("limit.notices_a_minute.remedy"),
    },
    "alarms_waiting": {
        "what": saying("limit.alarms_waiting.what"),
        "remedy": saying("limit.alarms_waiting.remedy"),
    },
    "alarms_known": {
        "what": saying("limit.alarms_known.what"),
        "remedy": saying("limit.alarms_known.remedy"),
    },
    "cameras_held": {
        "what": saying("limit.cameras_held.what"),
        "remedy": saying("limit.cameras_held.remedy"),
    },
    "cameras_moving": {
        "what": saying("limit.cameras_moving.what"),
        "remedy": saying("limit.cameras_moving.remedy"),
    },
    "guessers": {"what": saying("limit.guessers.what"), "remedy": saying("limit.guessers.remedy")},
    "tries_of_peers": {
        "what": saying("limit.tries_of_peers.what"),
        "remedy": saying("limit.tries_of_peers.remedy"),
    },
    "tries_of_strangers": {
        "what": saying("limit.tries_of_strangers.what"),
        "remedy": saying("limit.tries_of_strangers.remedy"),
    },
    "tries_under_way": {
        "what": saying("limit.tries_under_way.what"),
        "remedy": saying("limit.tries_under_way.remedy"),
    },
    "tries_a_second": {
        "what": saying("limit.tries_a_second.what"),
        "remedy": saying("limit.tries_a_second.remedy"),
    },
    "crossings_open": {
        "what": saying("limit.crossings_open.what"),
        "remedy": saying("limit.crossings_open.remedy"),
    },
    "crossings_held": {
        "what": saying("limit.crossings_held.what"),
        "remedy": saying("limit.crossings_held.remedy"),
    },
    "answer_bytes": {
        "what": saying("limit.answer_bytes.what"),
        "remedy": saying("limit.answer_bytes.remedy"),
    },
}
