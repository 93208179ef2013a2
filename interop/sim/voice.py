"""A voice for broadcasts: deterministic syllables in G.711 A-law, 20 ms a frame, no codec needed."""

import math
from typing import Final

CLOCK_RATE: Final = 8000
FRAME_SECONDS: Final = 0.02
FRAME_SAMPLES: Final = 160
"""Samples, and in G.711 bytes, of one frame."""

_SYLLABLE: Final = 9  # frames: 180 ms, of which the last two are a pause
_FORMANTS: Final = ((730, 1090), (270, 2290), (390, 1990), (570, 840), (300, 870))  # Hz: a, i, e, o, u
_LOUD: Final = 9000.0
_PITCHES: Final = (110, 125, 140, 165, 190, 210, 235)  # Hz


class Voice:
    """One speaker: `number` chooses its pitch and its vowels, so that two can't be taken for one."""

    def __init__(self, number: int = 0) -> None:
        self._number = number
        self._pitch = _PITCHES[number % len(_PITCHES)]

    def frame(self, at: int) -> bytes:
        """160 bytes: what is said from `at` times 20 ms on. The same each time it is asked for."""
        syllable, within = divmod(at, _SYLLABLE)
        low, high = _FORMANTS[(syllable * syllable + syllable // 3 + self._number) % len(_FORMANTS)]
        pitch = self._pitch + syllable * 7 % 23 - 11
        loud = _LOUD * math.sin(math.pi * within / (_SYLLABLE - 2)) if within < _SYLLABLE - 2 else 0.0
        first = at * FRAME_SAMPLES
        return bytes(
            a_law(round(loud * _sound((first + sample) / CLOCK_RATE, pitch, low, high)))
            for sample in range(FRAME_SAMPLES)
        )


def _sound(seconds: float, pitch: int, low: int, high: int) -> float:
    """The vocal cords and two resonances, from -1 to 1."""
    turn = 2 * math.pi * seconds
    return 0.4 * math.sin(turn * pitch) + 0.4 * math.sin(turn * low) + 0.2 * math.sin(turn * high)


def a_law(sample: int) -> int:
    """One 16-bit sample in 8 bits (G.711 table 1a, even bits inverted)."""
    sign = 0x80 if sample >= 0 else 0x00
    size = (sample if sample >= 0 else ~sample) >> 3  # 12 bits
    segment = max(size.bit_length() - 5, 0)
    return (sign | segment << 4 | size >> max(segment, 1) & 0x0F) ^ 0x55
