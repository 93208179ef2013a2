"""What a device is told to do (GB/T 28181-2016 annex A.2.3.1)."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from cascade.model.commands import Control

Speed = Annotated[int, Meta(ge=0, le=255)]
ZoomSpeed = Annotated[int, Meta(ge=0, le=15)]


class Movement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the picture on the monitor shall go, axis by axis; no axis at all is stop.

    A movement goes on until the next one. A speed belongs to a direction, and 0 may be one.
    """

    pan: Literal["left", "right"] | None = None
    tilt: Literal["up", "down"] | None = None
    zoom: Literal["in", "out"] | None = None
    pan_speed: Speed = 0
    tilt_speed: Speed = 0
    zoom_speed: ZoomSpeed = 0

    def __post_init__(self) -> None:
        """One value for each meaning: what an axis that rests is said to do would be a second channel."""
        if (
            (self.pan is None and self.pan_speed)
            or (self.tilt is None and self.tilt_speed)
            or (self.zoom is None and self.zoom_speed)
        ):
            raise ValueError("a speed without a direction")

    @property
    def stop(self) -> bool:
        return self.pan is None and self.tilt is None and self.zoom is None


class ControlPtz(Control, frozen=True):
    """Pan, tilt and zoom, or stop. Presets, cruises, focus and iris are commands of their own."""

    action: ClassVar[str] = "control.ptz"

    movement: Movement
