"""What one packet costs the relay's thread: run time of the thread divided by the packets that left.

Generator and sinks are in this process on another processor, streams carry bursts of 14 packets of 1,400
bytes (what a camera sends for one frame). On loopback the figure includes delivery into the sink's socket.
"""

import asyncio
import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from benchmarks.results import Result, save
from media.relay import AddViewer, AimViewer, Expect, NativePlane, Open

HOST: Final = "127.0.0.1"
SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104
PACKET_BYTES: Final = 1400
BURST: Final = 14
WARM_SECONDS, SECONDS = 0.5, 3.0
RUNS: Final = 3
"""The median counts; all are kept in `raw`."""
BUFFER: Final = 4 << 20
LATE_SECONDS: Final = 0.02
"""A generator that was held up does not send what no camera would."""


class Case(Struct, frozen=True):
    work: str
    streams: int
    packets_per_second: int  # over all streams
    viewers: int = 1
    merged_source: bool = False  # a burst arrives as one train, as from a device that merges
    merged_sink: bool = False
    bar: float | None = None
    aim: float | None = None


CASES: Final = (
    Case("1,000 streams, bursts of 14", 1000, 60_000, bar=2600, aim=1700),
    Case("1,000 streams, bursts of 14, taken merged", 1000, 60_000, merged_sink=True),
    Case("1,000 streams, bursts arrive and are taken merged", 1000, 100_000, 1, True, True, 950, 850),
    Case("100 streams, bursts of 14", 100, 60_000),
    Case("10 streams, bursts of 14", 10, 4_000),
    Case("100 streams, 4 viewers each, taken merged", 100, 20_000, 4, False, True, 1600, 950),
)


def relay_thread() -> int:
    """The number of the relay's thread in this process."""
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text().strip() == "lockgate-relay":
            return int(task.name)
    raise RuntimeError("the relay has no thread")


def run_nanoseconds(thread: int) -> int:
    return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0])


class Load:
    """Cameras and viewers of a case: `burst` sends one frame of one stream, `drain` empties the sinks.

    `ports` must be set before: where each stream takes its packets.
    """

    def __init__(self, case: Case, stack: contextlib.ExitStack) -> None:
        self.case = case
        self.sinks = [self._udp(stack, case.merged_sink) for _ in range(min(case.streams, 8))]
        self.camera = self._udp(stack, False)
        self.sink_ports = [sink.getsockname()[1] for sink in self.sinks]
        self.ports: list[int] = []
        self.sent = self.drained = 0
        self._sequence = 0
        self._room = bytearray(1 << 16)

    def _udp(self, stack: contextlib.ExitStack, merged: bool) -> socket.socket:
        made = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        if merged:
            made.setsockopt(SOL_UDP, UDP_GRO, 1)
        made.bind((HOST, 0))
        made.setblocking(False)
        return made

    def rounds(self) -> Iterator[list[bytes]]:
        """The packets of the next burst, once for each stream; SSRCs are the streams' numbers."""
        payload = b"\0\0\1\xba" + bytes(PACKET_BYTES - 16)
        while True:
            first, self._sequence = self._sequence, self._sequence + BURST
            heads = [struct.pack("!BBHI", 0x80, 96, (first + n) % 65_536, first) for n in range(BURST)]
            for number in range(self.case.streams):
                ssrc = struct.pack("!I", number)
                yield [head + ssrc + payload for head in heads]

    def burst(self, packets: Sequence[bytes], port: int) -> None:
        self.sent += len(packets)
        if self.case.merged_source:
            train = [(SOL_UDP, UDP_SEGMENT, struct.pack("H", PACKET_BYTES))]
            self.camera.sendmsg(packets, train, 0, (HOST, port))
            return
        for packet in packets:
            self.camera.sendto(packet, (HOST, port))

    def drain(self) -> None:
        for sink in self.sinks:
            with contextlib.suppress(BlockingIOError):
                while True:
                    sink.recv_into(self._room)
                    self.drained += 1


async def open_streams(plane: NativePlane, case: Case, sink_ports: Sequence[int]) -> list[int]:
    """Open every stream of a case, dealt out to the sinks; the ports that take their packets."""
    ports = []
    for number in range(case.streams):
        stream = str(number)
        ports.append(await plane.bind(Open(stream=stream, address=HOST, port=0)))
        sink = sink_ports[number % len(sink_ports)]
        for viewer in map(str, range(case.viewers)):
            await plane.bind(AddViewer(stream=stream, viewer=viewer, address=HOST, port=0))
            aim = AimViewer(stream=stream, viewer=viewer, host=HOST, port=sink, ssrc=number, payload_type=96)
            plane.tell(aim)
        plane.tell(Expect(stream=stream, source=(HOST,), ssrc=number, max_bits_per_second=1 << 40))
    return ports


def drive(load: Load, seconds: float) -> None:
    """Send at the case's rate for that long; of late bursts those of the last `LATE_SECONDS` at once."""
    case = load.case
    pause = BURST / case.packets_per_second
    begun = due = time.monotonic()
    for number, packets in enumerate(load.rounds()):
        while (now := time.monotonic()) < due:
            load.drain()
        if now - begun > seconds:
            return
        load.burst(packets, load.ports[number % case.streams])
        due = max(due + pause, now - LATE_SECONDS)
        if number % 8 == 0:
            load.drain()


async def measure(case: Case) -> Result:
    with contextlib.ExitStack() as stack:
        async with NativePlane(asyncio.get_running_loop()) as plane:
            plane.sockets()  # answered by the thread, which has its name by then
            thread = relay_thread()
            spread(thread)
            load = Load(case, stack)
            load.ports = await open_streams(plane, case, load.sink_ports)
            drive(load, WARM_SECONDS)
            before, spent = totals(plane), run_nanoseconds(thread)
            begun = time.monotonic()
            drive(load, SECONDS)
            taken = time.monotonic() - begun
            after, spent = totals(plane), run_nanoseconds(thread) - spent
    received, sent, unsent = (late - early for late, early in zip(after, before, strict=True))
    raw = {
        "received_per_second": round(received / taken),
        "sent": sent,
        "unsent": unsent,
        "thread_seconds": spent / 1e9,
        "seconds": taken,
        "streams": case.streams,
    }
    return Result(
        work=f"relay: {case.work}",
        value=round(spent / sent, 1),
        unit="ns per packet sent",
        bar=case.bar,
        aim=case.aim,
        better="lower",
        raw=raw,
    )


def totals(plane: NativePlane) -> tuple[int, int, int]:
    counters = plane.counters().streams.values()
    viewers = [viewer for stream in counters for viewer in stream.viewers.values()]
    received = sum(stream.received for stream in counters)
    return received, sum(viewer.sent for viewer in viewers), sum(viewer.unsent for viewer in viewers)


def spread(thread: int) -> None:
    """Give the relay a processor of its own, where there are two."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) > 1:
        os.sched_setaffinity(0, processors[:-1])
        os.sched_setaffinity(thread, processors[-1:])


def main() -> None:
    whole = os.sched_getaffinity(0)
    results = []
    for case in CASES:
        runs = []
        for _ in range(RUNS):
            runs.append(asyncio.run(measure(case)))
            os.sched_setaffinity(0, whole)
        result = sorted(runs, key=lambda run: run.value)[RUNS // 2]
        result = structs.replace(result, raw={**result.raw, "all_runs": [run.value for run in runs]})
        results.append(result)
        print(
            f"{result.work}: {result.value:.0f} {result.unit}, {result.raw['received_per_second']} packets/s"
        )
    save("relay", results)


if __name__ == "__main__":
    main()
