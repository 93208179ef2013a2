"""Why somebody is not registered: from what is known to sentences that say what to do. Pure.

A reason is a key of the words below `[explain]` with its fields; programs read the key.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from cascade.addresses import Networks
from cascade.as_upper.attempts import Attempt, Given
from gateway.registrations.facts import OfId, OfSide, Tried, Wanted
from gateway.words import Saying, saying
from sip.uri import host_port

NONCE_SECONDS: Final = 60
"""How long a challenge may be answered."""

RESPONSE: Final = {"MD5": 32, "SHA-256": 64, "SM3": 64}
"""Characters of a response by algorithm."""

SETTLED: Final = frozenset({"registered", "removed", "redirected"})
"""Outcomes beside which there is nothing to compare."""

AWAITED: Final = 10.0
"""Seconds in which whoever was challenged may still come back."""


class Compared(Struct, frozen=True, kw_only=True):
    """One input. `fits` is None where nothing is expected of it or it does not count yet."""

    input: str
    received: str
    expected: str
    fits: bool | None


def name_of(side: OfSide) -> Saying:
    return saying("side.outer") if side.side == "outer" else saying("side.inner")


def registered(one: OfId) -> bool:
    return one.lease is not None or (one.above and not one.problem)


def reasons(side: OfSide, one: OfId, now: float) -> list[Saying]:
    """What is to be said, the most important first; never nothing."""
    if one.above and one.wanted is None:
        return [_above(one)]
    last = one.tries[-1] if one.tries else None
    if one.lease is not None and (last is None or last.attempt.outcome == "registered"):
        where = host_port(one.lease.host, one.lease.port)
        return [saying("explain.registered", address=where)]
    if last is None:
        return list(_never_heard(side, one))
    if last.attempt.outcome == "removed":
        return [saying("explain.removed")]
    if one.wanted is None:
        return list(_unknown(side, one, last.attempt))
    found = list(_of_last(side, one, one.wanted, last, now))
    if one.lease is not None:
        where = host_port(one.lease.host, one.lease.port)
        found.append(saying("explain.still_registered", id=one.id, address=where))
    return found


def _above(one: OfId) -> Saying:
    if not one.problem:
        return saying("explain.upper_well", id=one.id)
    return saying("explain.upper", id=one.id, reason=one.problem)


def _never_heard(side: OfSide, one: OfId) -> Iterator[Saying]:
    if one.wanted is None:
        yield saying("explain.nobody", id=one.id)
        yield from _slip(one)
    else:
        yield saying("explain.silent", id=one.id, address=side.address, server=side.id, realm=side.realm)
    if side.unread:
        yield saying("explain.unread", count=side.unread, side=name_of(side))


def _slip(one: OfId) -> Iterator[Saying]:
    if one.near:
        yield saying("explain.near", near=", ".join(one.near))


def _unknown(side: OfSide, one: OfId, attempt: Attempt) -> Iterator[Saying]:
    source = host_port(*attempt.source)
    if one.admit:
        yield saying("explain.no_password", id=one.id, rule=one.admit, source=source)
        return
    yield saying("explain.unknown", id=one.id, side=name_of(side), source=source)
    yield from _slip(one)


def _of_last(side: OfSide, one: OfId, wanted: Wanted, tried: Tried, now: float) -> Iterator[Saying]:
    attempt = tried.attempt
    match attempt.outcome:
        case "challenged":
            yield from _challenged(one, attempt, now)
        case "wrong" | "put-off" | "stale":
            yield _digest(side, one, wanted, tried)
            if attempt.outcome == "put-off":
                yield saying("explain.put_off", source=attempt.source[0], seconds=round(one.pause))
        case "not-as-agreed":
            yield from _not_as_agreed(one, wanted, attempt)
        case "bound-elsewhere":
            where = "-" if one.lease is None else host_port(one.lease.host, one.lease.port)
            yield saying("explain.bound", id=one.id, address=where, source=host_port(*attempt.source))
        case "redirected":
            yield saying("explain.redirected", id=one.id)
        case "too-short":
            yield saying("explain.too_short", asked=attempt.expires or 0, least=wanted.min_expires)
        case _:
            yield saying("explain.other", id=one.id)


def _challenged(one: OfId, attempt: Attempt, now: float) -> Iterator[Saying]:
    source = host_port(*attempt.source)
    if attempt.given is not None:
        yield saying("explain.scheme", scheme=attempt.given.scheme)
    elif attempt.times == 1 and now - attempt.at < AWAITED:
        yield saying("explain.awaited", id=one.id)
    else:
        yield saying("explain.no_answer", id=one.id, times=attempt.times, source=source)


def _digest(side: OfSide, one: OfId, wanted: Wanted, tried: Tried) -> Saying:
    """The first input that does not fit, in the order in which the engine looks; the password last."""
    given = tried.attempt.given or Given(scheme="")
    wrong = tried.wrong or _seen(side, one, wanted, tried)
    offered = ", ".join(wanted.algorithms)
    match wrong:
        case "realm":
            return saying("explain.realm", realm=given.realm, expected=side.realm)
        case "user":
            return saying("explain.username", username=given.username, id=one.id)
        case "algorithm":
            return saying("explain.algorithm", algorithm=given.algorithm or "MD5", offered=offered)
        case "target":
            return saying("explain.target", uri=given.uri, server=side.id)
        case "qop" if not given.qop:
            return saying("explain.no_qop", id=one.id)
        case "qop" | "count":
            return saying("explain.qop", qop=given.qop, nc=given.nc)
        case "nonce-foreign":
            return saying("explain.nonce_foreign", source=tried.attempt.source[0])
        case "nonce-expired":
            age = round(tried.nonce_age or given.nonce_age or 0)
            return saying("explain.nonce_expired", age=age, most=NONCE_SECONDS)
        case "nonce-used":
            return saying("explain.nonce_used")
        case "nonces-full":
            return saying("explain.nonces_full")
    length = RESPONSE[_algorithm(given)]
    if given.response_length != length:
        return saying("explain.length", length=given.response_length, expected=length)
    return saying("explain.password", id=one.id)


def _seen(side: OfSide, one: OfId, wanted: Wanted, tried: Tried) -> str:
    """The same as far as it is to be seen without the engine."""
    given = tried.attempt.given
    if tried.attempt.outcome == "stale" or given is None:
        return "nonce-used" if given is not None else ""
    if given.realm != side.realm:
        return "realm"
    if given.username != one.id:
        return "user"
    return "" if _algorithm(given) in wanted.algorithms else "algorithm"


def _algorithm(given: Given) -> str:
    found = given.algorithm.upper() or "MD5"
    return found if found in RESPONSE else "MD5"


def _not_as_agreed(one: OfId, wanted: Wanted, attempt: Attempt) -> Iterator[Saying]:
    given = attempt.given
    if given is not None and given.username != one.id:
        yield saying("explain.another_name", username=given.username, id=one.id)
    if attempt.source[0] not in Networks(wanted.networks):
        networks = ", ".join(wanted.networks)
        yield saying("explain.network", source=attempt.source[0], networks=networks, id=one.id)
    if wanted.transport not in {"any", attempt.transport}:
        yield saying("explain.transport", transport=attempt.transport, expected=wanted.transport, id=one.id)
    elif wanted.certificate and one.id not in attempt.certificate.split():
        yield saying("explain.certificate", names=attempt.certificate or "-", id=one.id)


def compared(side: OfSide, one: OfId) -> list[Compared]:
    """What its last try brought, beside what was expected; nothing where all is well or unknown."""
    if not one.tries or one.wanted is None or one.tries[-1].attempt.outcome in SETTLED:
        return []
    tried, wanted = one.tries[-1], one.wanted
    attempt, given = tried.attempt, tried.attempt.given
    networks = Networks(wanted.networks)
    rows = [
        _row("source", host_port(*attempt.source), ", ".join(wanted.networks), attempt.source[0] in networks)
    ]
    fits = wanted.transport in {"any", attempt.transport}
    rows.append(_row("transport", attempt.transport, wanted.transport, fits))
    if wanted.certificate:
        rows.append(_row("certificate", attempt.certificate, one.id, one.id in attempt.certificate.split()))
    if given is not None and given.scheme == "Digest":
        rows += _inputs(side, one, wanted, tried, given)
    elif given is not None:
        rows.append(_row("scheme", given.scheme, "Digest", False))
    if attempt.expires is not None:
        fits = attempt.expires == 0 or attempt.expires >= wanted.min_expires
        rows.append(_row("expires", str(attempt.expires), f">= {wanted.min_expires}", fits))
    if one.lease is not None:
        held = host_port(one.lease.host, one.lease.port)
        moves = wanted.binding != "strict" or held == host_port(*attempt.source)
        rows.append(_row("binding", host_port(*attempt.source), f"{wanted.binding}: {held}", moves))
    return rows


def _inputs(side: OfSide, one: OfId, wanted: Wanted, tried: Tried, given: Given) -> Iterator[Compared]:
    wrong = tried.wrong or _seen(side, one, wanted, tried)
    yield _row("username", given.username, one.id, given.username == one.id)
    yield _row("realm", given.realm, side.realm, given.realm == side.realm)
    yield _row("uri", given.uri, f"sip:{side.id}@{side.realm}", wrong != "target")
    algorithm = given.algorithm or "MD5"
    yield _row("algorithm", algorithm, ", ".join(wanted.algorithms), wrong != "algorithm")
    qop = f"{given.qop} nc={given.nc}" if given.qop else "-"
    yield _row("qop", qop, "auth", wrong not in {"qop", "count"})
    age = tried.nonce_age if tried.nonce_age is not None else given.nonce_age
    nonce = f"{given.nonce}.." if age is None else f"{age:.1f} s"
    stale = tried.attempt.outcome == "stale"
    yield _row("nonce", nonce, f"<= {NONCE_SECONDS} s", not stale)
    right = tried.attempt.outcome not in {"wrong", "put-off"}
    before = not right and wrong not in {"", "response"}  # what it was made of differs already
    yield _row("response", f"*** ({given.response_length})", "***", None if before else right)


def _row(name: str, received: str, expected: str, fits: bool | None) -> Compared:
    return Compared(input=name, received=received or "-", expected=expected, fits=fits)
