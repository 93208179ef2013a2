"""Asks running gateways: a plain blocking socket, since a command has nothing else to do meanwhile."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from gateway.local.messages import (
    MAX_RESPONSE,
    Flowing,
    Misunderstood,
    OnePeer,
    PeerStanding,
    Registration,
    Registrations,
    Reload,
    Reloaded,
    Request,
    Response,
    Standing,
    Status,
    Trace,
    Traced,
    encode,
    read_response,
)
from gateway.local.place import NAME, reachable
from gateway.local.server import LENGTH
from gateway.words import Language, Told, saying
from gateway.words.system import reason

PATIENCE_SECONDS: Final = 30.0
R = TypeVar("R", Traced, Standing, Reloaded, Registrations, PeerStanding)


class Unanswered(Told):
    """No gateway runs there, or it may not be asked."""


class Gateway:
    """A connection to one running gateway; see `connected`."""

    def __init__(self, connection: socket.socket, path: Path) -> None:
        self._connection = connection
        self._path = path

    def trace(self, wanted: Trace) -> Traced:
        return self._ask(wanted, Traced)

    def registrations(self, what: str) -> Registrations:
        return self._ask(Registration(what=what), Registrations)

    def status(self) -> Standing:
        return self._ask(Status(), Standing)

    def peer(self, what: str) -> PeerStanding:
        return self._ask(OnePeer(what=what), PeerStanding)

    def reload(self, language: Language, what: Literal["rules", "tickets"] = "rules") -> Reloaded:
        return self._ask(Reload(what=what, language=language), Reloaded)

    def flowing(self) -> tuple[Flowing, ...]:
        """The streams that are open there."""
        return self._ask(Reload(what="nothing"), Reloaded).streams

    def difference(self, file: Path, language: Language) -> tuple[str, ...] | None:
        """What would come of taking that file, besides its rules; None where it cannot be used there."""
        asked = Reload(what="difference", language=language, file=str(file.resolve()))
        answer = self._ask(asked, Reloaded)
        return answer.lines if answer.taken else None

    def _ask(self, request: Request, kind: type[R]) -> R:
        """Raises Unanswered."""
        try:
            asked = encode(request)
            self._connection.sendall(LENGTH.pack(len(asked)) + asked)
            (length,) = LENGTH.unpack(self._receive(LENGTH.size))
            if length > MAX_RESPONSE:
                raise OSError(f"{length} bytes")
            response: Response = read_response(self._receive(length))
        except (OSError, msgspec.MsgspecError) as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            raise Unanswered(saying("local.broken", reason=why)) from error
        if isinstance(response, kind):
            return response
        version = response.version if isinstance(response, Misunderstood) else "?"
        raise Unanswered(saying("local.other_version", version=version))

    def _receive(self, length: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            part = self._connection.recv(min(length - len(parts), 1 << 20))
            if not part:
                raise ConnectionResetError(104, "Connection reset by peer")
            parts += part
        return bytes(parts)


@contextmanager
def connected(state: Path) -> Iterator[list[Gateway]]:
    """Every gateway that runs on a state folder: one of both sides, or one for each side.

    Raises:
        Unanswered: there is none, or it may not be asked.
    """
    places = [state / NAME, state / "outer" / NAME, state / "inner" / NAME]
    with ExitStack() as held:
        found = []
        for path in places:
            connection = _connect(path)
            if connection is not None:
                found.append(Gateway(held.enter_context(connection), path))
        if not found:
            raise Unanswered(saying("local.no_gateway", place=str(places[0])))
        yield found


def _connect(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE_SECONDS)
    try:
        with reachable(path) as name:
            connection.connect(name)
    except PermissionError as error:
        connection.close()
        raise Unanswered(saying("local.no_rights", place=str(path))) from error
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise Unanswered(saying("local.broken", reason=reason(error))) from error
    return connection
