"""Who is where in the leak proof: ids, addresses and rules, all of them made of markers."""

from dataclasses import dataclass, field
from typing import Final

from gateway.app import SideName
from tests.gateway.apart import OTHER, PREFIX, SIDES
from tests.gateway.marked import PASSWORD
from tests.gateway.markers import Marks

RULE: Final = """
[[rule]]
id = "{id}"
direction = "{direction}"
action = "{action}"
channels = ["{channels}"]
verdict = "{verdict}"
"""


@dataclass(slots=True)
class Plot:
    """Who is where. The lower platform is in network `below`, the upper one in network `above`."""

    below: SideName
    marks_below: Marks = field(default_factory=lambda: Marks(11))
    marks_above: Marks = field(default_factory=lambda: Marks(22))
    addresses: dict[SideName, str] = field(default_factory=dict)
    ids: dict[SideName, str] = field(default_factory=dict)
    lower_id: str = ""
    upper_id: str = ""
    upper_realm: str = ""
    lower_host: str = ""
    upper_host: str = ""
    group: str = ""
    shared_branch: str = ""
    kept_branch: str = ""
    single: str = ""  # a camera of the kept branch that a rule shares by its own id
    within: str = ""  # an organisation in the kept branch that no rule names
    deep: str = ""  # a camera of that organisation, shared as the single one

    def __post_init__(self) -> None:
        below, above = self.below, self.above
        one, two = self.marks_below, self.marks_above
        self.addresses = {
            below: one.address("our address below", PREFIX[below][:-1]),
            above: two.address("our address above", PREFIX[above][:-1]),
        }
        self.ids = {
            below: self.id(one, "our id below", 200, crosses="Envelope.origin"),
            above: self.id(two, "our id above", 200),
        }
        self.lower_id = self.id(one, "the lower's id", 200, crosses="CatalogBatch.rows.id")
        self.upper_realm = two.text("upper: realm")
        self.upper_id = self.id(two, "the upper's id", 200, crosses="Envelope.origin")
        self.lower_host = one.address("the lower's address", PREFIX[below][:-1])
        self.upper_host = two.address("the upper's address", PREFIX[above][:-1])
        self.group = self.id(one, "a group", 215, crosses="CatalogBatch.rows.id")
        self.shared_branch = self.id(one, "a branch that is shared", 216, crosses="CatalogBatch.rows.id")
        self.kept_branch = self.id(one, "a branch that is kept", 216)
        for side, marks in ((below, one), (above, two)):
            crosses = "Envelope.origin" if side == below else ""
            marks.known(f"our domain in {side}", self.ids[side][:10], crosses=crosses)

    @property
    def above(self) -> SideName:
        return OTHER[self.below]

    @staticmethod
    def id(marks: Marks, place: str, kind: int, *, crosses: str = "") -> str:
        """20 digits, of which nothing but the kind is usual."""
        start = "".join(marks.random.choices("123456789", k=10))
        return marks.digits(place, 20, crosses=crosses, prefix=f"{start}{kind}")

    def config(self) -> str:
        below = self.below
        up, down = ("inward", "outward") if below == "outer" else ("outward", "inward")
        sides = "".join(
            f'\n[{side}]\nid = "{self.ids[side]}"\naddress = "{self.addresses[side]}"\n'
            f'media_ports = [30000, 30398]\nnetworks = ["{PREFIX[side]}0/24"]\n'
            + (
                f'\n[[{side}.lower]]\nid = "{self.lower_id}"\ncatalog_seconds = 300\npage_seconds = 5\n'
                if side == below
                else f'\n[[{side}.upper]]\nid = "{self.upper_id}"\nhost = "{self.upper_host}"\n'
                f'realm = "{self.upper_realm}"\n'
                f'media_networks = ["{PREFIX[side]}0/24"]\n'
            )
            for side in SIDES
        )
        alone = '", "'.join(f"id:{id}" for id in (self.single, self.deep) if id)
        single = [("single", up, "catalog.rows", alone, "allow")] if alone else []
        rules = [
            *single,
            ("keep", up, "catalog.rows", f"branch:{self.kept_branch}", "deny"),
            ("show", up, "catalog.rows", "*", "allow"),
            ("keep-alarm", up, "notice.alarm", f"branch:{self.kept_branch}", "deny"),
            ("alarm", up, "notice.alarm", "*", "allow"),
            ("presence", up, "notice.presence", "*", "allow"),
            ("keep-ask", down, "query.*", f"branch:{self.kept_branch}", "deny"),
            ("keep-ptz", down, "control.ptz", f"branch:{self.kept_branch}", "deny"),
            ("ptz", down, "control.ptz", "*", "allow"),
            ("ask", down, "query.*", "*", "allow"),
            ("keep-live", down, "media.live", f"branch:{self.kept_branch}", "deny"),
            ("live", down, "media.live", "*", "allow"),
            ("keep-speak", down, "media.broadcast", f"branch:{self.kept_branch}", "deny"),
            ("speak", down, "media.broadcast", "*", "allow"),
        ]
        names = ("id", "direction", "action", "channels", "verdict")
        return (
            '[gateway]\nstate = "state"\n\n[media]\nlinger_seconds = 1.0\n'
            + sides
            + "".join(RULE.format(**dict(zip(names, rule, strict=True))) for rule in rules)
        )

    def passwords(self) -> dict[str, str]:
        return {self.lower_id: PASSWORD, self.upper_id: PASSWORD}
