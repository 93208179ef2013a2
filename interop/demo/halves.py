"""What each of two hosts has of a gateway's files: its own side whole, of the other no more than ids."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from certs.identities import SideName
from interop.demo.sealing import seal

SIDES: Final[tuple[SideName, SideName]] = ("outer", "inner")
OTHER: Final[dict[SideName, SideName]] = {"outer": "inner", "inner": "outer"}


def half(written: str, side: SideName) -> str:
    """The configuration for the host of that side: the tables of the other without any line but its ids."""
    kept, inside = [], False
    for line in written.splitlines():
        if line.startswith("["):
            inside = line.strip("[]").split(".")[0] == OTHER[side]
        if not inside or line.startswith(("[", "id")) or not line:
            kept.append(line)
    return "\n".join(kept) + "\n"


def write_halves(whole: Path, folder: Path, passwords: Mapping[str, str]) -> None:
    """From the file of one process in `whole`, a folder for each host, named as its side; and its secrets."""
    written = (whole / "gateway.toml").read_text()
    for side in SIDES:
        host = folder / side
        host.mkdir()
        (host / "gateway.toml").write_text(half(written, side))
        seal(host / "gateway.toml", passwords, side)


def hand_out(authority: Path, folder: Path) -> None:
    """What `lockgate certs` made, to the folders of both hosts; neither gets the other's key."""
    for side in SIDES:
        there = folder / side / "certs"
        there.mkdir()
        for name in ("ca.pem", "revoked.pem", f"{side}.pem", f"{side}.key"):
            copied = there / name
            copied.touch(mode=0o600)
            copied.write_bytes((authority / name).read_bytes())
