"""What a lower platform shows: itself, branches, cameras, speakers (GB/T 28181-2016 annex A, J)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from interop.sim.camera import CameraSpec
from interop.sim.xml import Fields

GROUP: Final = "215"
ORGANISATION: Final = "216"
_MAKER: Final = (("Manufacturer", "Lockgate"), ("Model", "Simulator"))


@dataclass(frozen=True, slots=True)
class Branch:
    """An area (2 to 8 digits), a business group (kind 215) or an organisation (216).

    `parent` is the branch above, "" for none; `group` is the business group of an organisation.
    """

    id: str
    name: str
    parent: str = ""
    group: str = ""

    @property
    def kind(self) -> str:
        """Digits 11 to 13, "" for an area."""
        return self.id[10:13] if len(self.id) == 20 else ""


@dataclass(frozen=True, slots=True)
class Speaker:
    """An audio output (kind 137): what a broadcast is for. `parent` is a branch, "" = the platform."""

    id: str
    name: str
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything of one platform or device, in the order in which it is sent; parents first."""

    owner: str
    name: str
    branches: tuple[Branch, ...] = ()
    cameras: tuple[CameraSpec, ...] = ()
    own_item: bool = True
    speakers: tuple[Speaker, ...] = ()

    def items(self, target: str) -> list[Fields] | None:
        """The items that a query for `target` gets; None when nothing here has that id.

        The owner's id gives all, a branch's id the branch and what is below it, a camera's its item.
        """
        if target == self.owner:
            return self._all(self.branches, self.cameras, self.speakers, own=self.own_item)
        below = self._below(target)
        branches = [branch for branch in self.branches if branch.id in below]
        cameras = [camera for camera in self.cameras if camera.id == target or camera.parent in below]
        speakers = [one for one in self.speakers if one.id == target or one.parent in below]
        found = branches or cameras or speakers
        return self._all(branches, cameras, speakers, own=False) if found else None

    def outlets(self, target: str) -> tuple[str, ...]:
        """Where a voice for `target` is heard: for the platform every speaker, or itself."""
        if target == self.owner:
            return tuple(speaker.id for speaker in self.speakers) or (self.owner,)
        known = {speaker.id for speaker in self.speakers} | {camera.id for camera in self.cameras}
        return (target,) if target in known else ()

    def camera(self, target: str) -> CameraSpec | None:
        return next((camera for camera in self.cameras if camera.id == target), None)

    def _below(self, target: str) -> set[str]:
        """Ids of the branches that are `target` or under it."""
        found = {branch.id for branch in self.branches if branch.id == target}
        grown = True
        while grown:
            more = {branch.id for branch in self.branches if {branch.parent, branch.group} & found}
            grown, found = not more <= found, found | more
        return found

    def _all(
        self,
        branches: Sequence[Branch],
        cameras: Sequence[CameraSpec],
        speakers: Sequence[Speaker],
        *,
        own: bool,
    ) -> list[Fields]:
        first = [system_item(self.owner, self.name)] if own else []
        groups = {branch.id: branch.group for branch in self.branches}
        return [
            *first,
            *(branch_item(branch, self.owner) for branch in branches),
            *(camera_item(camera, self.owner, groups.get(camera.parent, "")) for camera in cameras),
            *(speaker_item(speaker, self.owner, groups.get(speaker.parent, "")) for speaker in speakers),
        ]


def system_item(owner: str, name: str) -> Fields:
    return [
        ("DeviceID", owner),
        ("Name", name),
        *_MAKER,
        ("CivilCode", owner[:6]),
        ("Address", name),
        ("RegisterWay", "1"),
        ("Secrecy", "0"),
        ("Status", "ON"),
    ]


def branch_item(branch: Branch, owner: str) -> Fields:
    """Fewest fields (3.8): an organisation right under its group has no ParentID, a group its system's."""
    fields = [("DeviceID", branch.id), ("Name", branch.name)]
    if branch.kind == GROUP:
        fields += [("CivilCode", owner[:6]), ("ParentID", branch.parent or owner)]
    elif branch.kind == ORGANISATION:
        fields += [("ParentID", branch.parent), ("BusinessGroupID", branch.group)]
    else:
        fields += [("ParentID", branch.parent)]
    return fields


def camera_item(camera: CameraSpec, owner: str, group: str) -> Fields:
    """One channel. In an organisation its ParentID is a path: the system, then the organisation."""
    in_area = len(camera.parent) in {2, 4, 6, 8}
    info: list[tuple[str, str]] = [("PTZType", "3"), ("RoomType", "1"), ("Resolution", "5")]
    if group:
        info.append(("BusinessGroupID", group))
    return [
        ("DeviceID", camera.id),
        ("Name", camera.name),
        *_MAKER,
        ("Owner", camera.owner),
        ("CivilCode", camera.parent if in_area else owner[:6]),
        ("Address", camera.name),
        ("Parental", "0"),
        ("ParentID", "" if camera.id == owner else _parent(camera.parent, owner)),
        ("SafetyWay", "0"),
        ("RegisterWay", "1"),
        ("Secrecy", "0"),
        ("Status", "ON"),
        ("Longitude", f"{113.36 + camera.number * 0.0001:.6f}"),
        ("Latitude", f"{23.12 + camera.number * 0.0001:.6f}"),
        ("Info", info),
    ]


def speaker_item(speaker: Speaker, owner: str, group: str) -> Fields:
    """One audio output; it has a place in the tree as a camera has."""
    return [
        ("DeviceID", speaker.id),
        ("Name", speaker.name),
        *_MAKER,
        ("Owner", "Owner"),
        ("CivilCode", owner[:6]),
        ("Address", speaker.name),
        ("Parental", "0"),
        ("ParentID", _parent(speaker.parent, owner)),
        ("RegisterWay", "1"),
        ("Secrecy", "0"),
        ("Status", "ON"),
        ("Info", [("BusinessGroupID", group)]),
    ]


def _parent(branch: str, owner: str) -> str:
    return f"{owner}/{branch}" if branch[10:13] == ORGANISATION else branch or owner


def sample_tree(
    owner: str,
    name: str,
    cameras: int,
    *,
    branches: Sequence[str] = ("Roads", "Schools"),
    video: Path | None = None,
    speakers: int = 0,
) -> Tree:
    """A business group with an organisation for each name in `branches`; cameras, speakers dealt out in turn.

    Ids are made from the owner's centre code: group ...2150000001, organisations ...2160000001 on,
    cameras ...1320000001 on, speakers ...1370000001 on. Camera numbers count from 1. `video` is what all
    cameras send.
    """
    centre = owner[:8] + "00"
    group = Branch(f"{centre}{GROUP}0000001", f"{name} cameras")
    organisations = tuple(
        Branch(f"{centre}{ORGANISATION}{number:07d}", title, group=group.id)
        for number, title in enumerate(branches, 1)
    )
    made = []
    for number in range(1, cameras + 1):
        home = _home(organisations, number)
        made.append(
            CameraSpec(
                id=f"{centre}132{number:07d}",
                name=f"{home.name if home else 'Gate'} camera {number}",
                number=number,
                parent=home.id if home else "",
                video=video,
            )
        )
    outputs = []
    for number in range(1, speakers + 1):
        home = _home(organisations, number)
        title = f"{home.name if home else 'Gate'} speaker {number}"
        outputs.append(Speaker(f"{centre}137{number:07d}", title, home.id if home else ""))
    all_branches = (group, *organisations) if organisations else ()
    return Tree(owner, name, all_branches, tuple(made), speakers=tuple(outputs))


def _home(organisations: Sequence[Branch], number: int) -> Branch | None:
    """The organisation that number is dealt out to, None where there are none."""
    return organisations[(number - 1) % len(organisations)] if organisations else None
