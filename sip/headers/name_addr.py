"""`"name" <uri>;parameters`: the form of From, To, Contact, Route and Record-Route (RFC 3261 20.10)."""

from collections.abc import Iterable, Iterator

from sip.errors import MalformedMessage


def split_values(values: Iterable[str]) -> Iterator[str]:
    """The single values of a header that may be repeated or joined by commas, in their order.

    Commas within quotes or angle brackets don't part.
    """
    for value in values:
        start, quoted, bracket, escaped = 0, False, False, False
        for at, char in enumerate(value):
            if escaped:
                escaped = False
            elif quoted and char == "\\":
                escaped = True
            elif char == '"' and not bracket:
                quoted = not quoted
            elif not quoted and char in "<>":
                bracket = char == "<"
            elif char == "," and not quoted and not bracket:
                if part := value[start:at].strip():
                    yield part
                start = at + 1
        if part := value[start:].strip():
            yield part


def without_tag(value: str) -> str:
    """From or To as it was written, but for its `tag` parameter."""
    end = _end_of_address(value)
    head, *parameters = value[end:].split(";")
    kept = [part for part in parameters if part.partition("=")[0].strip().lower() != "tag"]
    return ";".join([value[:end] + head, *kept]).strip()


def uri_of(value: str) -> str:
    """The URI inside one value, without brackets and header parameters.

    Raises:
        MalformedMessage: a bracket that is never closed.
    """
    end = _end_of_address(value)
    if value[:end].endswith(">"):
        return value[value.rindex("<", 0, end) + 1 : end - 1].strip()
    if "<" in value:
        raise MalformedMessage(f"bracket not closed: {value[:64]!r}")
    return value.partition(";")[0].strip()


def _end_of_address(value: str) -> int:
    """Where the address ends and header parameters begin: behind `>`, or 0 for a bare URI."""
    quoted, escaped, opened = False, False, False
    for at, char in enumerate(value):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"' and not opened:
            quoted = not quoted
        elif char == "<" and not quoted:
            opened = True
        elif char == ">" and opened:
            return at + 1
    return 0
