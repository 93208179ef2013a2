"""What the tables of the configuration are made of."""

from typing import Annotated

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(gt=0, le=604_800)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Count = Annotated[int, Meta(ge=1, le=1000)]


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the document."""
