"""Answering a digest challenge (RFC 2617); checking one is the engine's."""

from sip._native import authorize
from sip.events import Event

CHALLENGES = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


def answer_challenge(
    event: Event, username: str, password: str, *, method: str, uri: str, cnonce: str, nc: int = 1
) -> tuple[str, str] | None:
    """The header that answers the 401 or 407 in `event`, or None when no challenge in it can be answered.

    Of several challenges the first that we understand is taken (RFC 8760 section 2.4).
    """
    asked, answered = CHALLENGES.get(event.status, ("", ""))
    for challenge in event.headers(asked) if asked else ():
        try:
            return answered, authorize(challenge, username, password, method, uri, cnonce, nc)
        except ValueError:
            continue
    return None
