"""The native load's face: `lockgate_native.load`, re-exported for the simulators."""

from lockgate_native.load import Fleet

__all__ = ["Fleet"]
