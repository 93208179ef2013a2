"""The native audit's face: `lockgate_native.audit`, re-exported for the rest of `gateway.chamber`."""

from lockgate_native.audit import Scribe

__all__ = ["Scribe"]
