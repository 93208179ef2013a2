"""The Reason header (RFC 3326): why a BYE or CANCEL was sent."""


def reason(cause: int, text: str) -> str:
    """The value to put into a Reason header; `text` loses what a quoted string can't hold."""
    clean = "".join(char for char in text if char.isprintable())
    quoted = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'SIP;cause={cause};text="{quoted}"'


def read_reason(value: str) -> tuple[int | None, str]:
    """Cause and text of one value; (None, "") where it has none. Never fails: it is only for display."""
    cause: int | None = None
    text = ""
    for part in value.split(";", 2)[1:]:
        key, _, given = part.partition("=")
        given = given.strip()
        match key.strip().lower():
            case "cause" if given.isascii() and given.isdigit():
                cause = int(given[:9])
            case "text":
                text = given.strip('"').replace('\\"', '"').replace("\\\\", "\\")
    return cause, text
