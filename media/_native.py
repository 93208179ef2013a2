"""The native relay's face: `lockgate_native.relay`, re-exported for the rest of `media`."""

from lockgate_native.relay import Core, Engine

__all__ = ["Core", "Engine"]
