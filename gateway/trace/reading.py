"""Messages as they were kept, read for a ladder: what they are, and what joins them to others."""

import re
from dataclasses import dataclass
from typing import Final

from gateway.trace.facts import Message
from sip._native import parse

LENGTH: Final = re.compile(rb"(?im)^(?:content-length|l)[ \t]*:[^\n]*\n")
MEDIA_PORT: Final = re.compile(rb"(?m)^m=(?:video|audio) (\d{1,5})[ /]")
SSRC: Final = re.compile(rb"(?m)^y=(\d{1,10})\b")
COMMAND: Final = re.compile(rb"<CmdType>\s*([A-Za-z]{1,32})\s*</CmdType>")
SERIAL: Final = re.compile(rb"<SN>\s*(\d{1,10})\s*</SN>")
ROOT: Final = re.compile(rb"<(Query|Control|Notify|Response)\b")
NAMED: Final = re.compile(rb"<(?:DeviceID|TargetID)>\s*([^<]{1,64}?)\s*</")


@dataclass(frozen=True, slots=True)
class Read:
    """A message. `status` is 0 for a request; what is absent is "" or None."""

    fact: Message
    method: str = ""
    status: int = 0
    reason: str = ""
    cseq: int = 0
    call_id: str = ""
    branch: str = ""
    from_user: str = ""
    to_user: str = ""
    uri_user: str = ""
    contact: str = ""
    media_port: int | None = None
    ssrc: int | None = None
    root: str = ""  # of MANSCDP
    command: str = ""
    serial: str = ""
    named: str = ""  # DeviceID or TargetID of the body
    why: str = ""  # Reason or Warning

    @property
    def thread(self) -> tuple[str, str]:
        """What belongs together on one side."""
        return self.fact.side, self.call_id

    @property
    def same(self) -> tuple[str, str, bool, str, int, int, str]:
        """Equal for a message and its repetitions."""
        return (*self.thread, self.fact.sent, self.method, self.status, self.cseq, self.branch)


def read(message: Message) -> Read:
    """Read one; of what is no SIP message only its first line is known, as `reason`."""
    data = message.data
    try:
        event = parse(data)
    except ValueError:
        try:
            event = parse(LENGTH.sub(b"", data))  # it was cut, or says another length
        except ValueError:
            return Read(message, reason=data[:80].split(b"\r\n", 1)[0].decode("utf-8", "replace"))
    body = event.body
    port, ssrc = MEDIA_PORT.search(body), SSRC.search(body)
    return Read(
        message,
        method=event.method,
        status=event.status,
        reason=event.reason,
        cseq=event.cseq,
        call_id=event.call_id,
        branch=event.branch,
        from_user=event.from_user,
        to_user=event.to_user,
        uri_user=event.uri_user,
        contact=event.contact or "",
        media_port=int(port[1]) if port else None,
        ssrc=int(ssrc[1]) if ssrc else None,
        root=_text(ROOT, body),
        command=_text(COMMAND, body),
        serial=_text(SERIAL, body),
        named=_text(NAMED, body),
        why=event.header("Reason") or event.header("Warning") or "",
    )


def _text(pattern: re.Pattern[bytes], body: bytes) -> str:
    found = pattern.search(body)
    return found[1].decode("gb18030", "replace") if found else ""
