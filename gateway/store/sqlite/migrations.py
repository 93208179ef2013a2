"""The tables of both files. `PRAGMA user_version` counts the steps a file has behind it.

A step that has been released is never edited; a change is one more step.
"""

from typing import Final

COLUMNS: Final = (
    "id",
    "name",
    "manufacturer",
    "model",
    "owner",
    "civil_code",
    "block",
    "address",
    "parental",
    "parent_id",
    "safety_way",
    "register_way",
    "secrecy",
    "status",
    "longitude",
    "latitude",
    "business_group_id",
    "ptz_type",
    "point_type",
    "room_type",
    "use_type",
    "supply_light_type",
    "direction_type",
    "resolution",
    "coordinates",
    "branch",
)
"""Of a catalog row: the fields of `cascade.model.index.Rows`, which a test compares."""

ADDED: Final = frozenset({"coordinates"})
"""Those that were not there at first."""

STATE: Final = (
    """
    CREATE TABLE binding (
        peer TEXT PRIMARY KEY,
        host TEXT NOT NULL,
        port INTEGER NOT NULL,
        contact TEXT NOT NULL,
        expires_at REAL NOT NULL,       -- wall clock, seconds
        registered_at REAL NOT NULL     -- wall clock, seconds
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE mapping (
        made INTEGER PRIMARY KEY,       -- the order of making
        upper TEXT NOT NULL,
        peer TEXT NOT NULL,
        name TEXT NOT NULL,
        shown TEXT NOT NULL,
        UNIQUE (upper, peer, name),
        UNIQUE (upper, shown)           -- an id is never given twice
    ) STRICT;
    """,
    """
    CREATE TABLE dialog (               -- INVITE legs that may exist at their peers
        peer TEXT NOT NULL,
        media_port INTEGER NOT NULL,    -- ours
        call_id TEXT NOT NULL,
        local TEXT NOT NULL,
        local_tag TEXT NOT NULL,
        remote TEXT NOT NULL,
        remote_tag TEXT NOT NULL,
        local_cseq INTEGER NOT NULL,
        target TEXT NOT NULL,
        routes TEXT NOT NULL,           -- JSON, a list of header values
        host TEXT NOT NULL,
        port INTEGER NOT NULL,
        early INTEGER NOT NULL,         -- 1: our INVITE had no answer yet
        PRIMARY KEY (call_id, local_tag)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- their INVITE, in outline, while it has no final answer of ours
    ALTER TABLE dialog ADD COLUMN request BLOB NOT NULL DEFAULT x'';
    """,
    """
    -- peers that were found to show what we show: what they list may be ours
    CREATE TABLE ring (peer TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    """,
    """
    -- cameras that were told to move; gone once they were told to stop
    CREATE TABLE moving (
        peer TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (peer, name)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE letter (               -- alarms that are kept for somebody
        made INTEGER PRIMARY KEY,       -- the order of keeping
        addressee TEXT NOT NULL,        -- '': the other side; else the id of an upper
        number INTEGER NOT NULL,
        kept_at REAL NOT NULL,          -- wall clock, seconds
        alarm TEXT NOT NULL,            -- JSON
        UNIQUE (addressee, number)
    ) STRICT;
    CREATE TABLE taken (                -- the last letter that came from the other side
        one INTEGER PRIMARY KEY CHECK (one = 1),
        number INTEGER NOT NULL
    ) STRICT;
    """,
    """
    CREATE TABLE took (                 -- the last letters that came from the other side
        made INTEGER PRIMARY KEY,
        number INTEGER NOT NULL UNIQUE
    ) STRICT;
    INSERT INTO took (number) SELECT number FROM taken;
    DROP TABLE taken;
    """,
)

CATALOG: Final = (
    f"""
    CREATE TABLE row (
        peer TEXT NOT NULL,
        {", ".join(f"{column} TEXT NOT NULL" for column in COLUMNS if column not in ADDED)},
        PRIMARY KEY (peer, id)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE row ADD COLUMN coordinates TEXT NOT NULL DEFAULT '';
    """,
)
