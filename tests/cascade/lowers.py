"""Peers below, by what is said of them."""

from typing import Any

from msgspec.structs import replace

from cascade.model.ids import PlatformId
from cascade.peers import LowerPeer, LowerTerms


def lower(name: PlatformId, **terms: Any) -> LowerPeer:
    return LowerPeer(name, LowerTerms(**terms))


def like(peer: LowerPeer, name: PlatformId | None = None, **terms: Any) -> LowerPeer:
    """Somebody as that peer is, but for these."""
    return LowerPeer(name or peer.id, replace(peer.terms, **terms))
