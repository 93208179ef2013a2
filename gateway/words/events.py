"""Explanations beside the events of the log, which name no language themselves."""

from typing import Final

from gateway.words import Saying, saying

EXPLAINED: Final[dict[str, dict[str, Saying]]] = {
    "registrations.refused": {
        "why": saying("events.registrations_refused.why"),
        "remedy": saying("events.registrations_refused.remedy"),
    },
}
"""By event, then by field. Code below the gateway tells what happened; why and what to do stand here."""
