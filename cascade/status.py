"""Why something failed, in our words and as SIP statuses: the one table, both ways (Q111).

No number of a library, an operating system or the other side reaches a peer; what is shown is
chosen here.
"""

from typing import Final

from cascade.crossing import Failure

FAILURE_STATUS: Final[dict[Failure, int]] = {
    "not-found": 404,
    "offline": 480,
    "busy": 486,
    "unacceptable": 488,
    "refused": 403,
    "unavailable": 503,
    "timeout": 408,
    "no-media": 504,
    "failed": 500,
}

_FAILURES: Final[dict[int, Failure]] = {
    401: "refused",
    403: "refused",
    404: "not-found",
    407: "refused",
    408: "timeout",
    410: "not-found",
    480: "offline",
    481: "offline",
    486: "busy",
    487: "timeout",
    488: "unacceptable",
    503: "busy",
    504: "timeout",
    600: "busy",
    603: "refused",
    604: "not-found",
    606: "unacceptable",
}


def failure_of(status: int) -> Failure:
    """What a peer's final status above 299 means to us."""
    return _FAILURES.get(status, "failed")
