"""What the leg between two hosts costs: 500 streams of 4 Mbit/s through a relay on each, sealed between them.

Each host is a process; where we may (root), each in a network namespace of its own with a wire (veth) between
them, else on loopback. Cameras send bursts of 14 packets as trains, sinks take them merged. The figure is the
run time of each host's relay thread divided by the packets that crossed; loss is counted at the very end.
"""

import asyncio
import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import zip_longest
from multiprocessing.connection import Connection
from typing import Any, Final

from benchmarks.bench_relay import HOST, Case, Load, drive, relay_thread, run_nanoseconds
from benchmarks.results import Result, save
from interop.netns import Namespace, why_not, wire
from media.relay import AddViewer, AimViewer, Expect, Join, NativePlane, Open, OpenFromTrunk, ViewOverTrunk

STREAMS: Final = 500
BITS_PER_SECOND: Final = 4_000_000
PACKET_BITS: Final = 1400 * 8
CASES: Final = tuple(
    Case(f"{streams} streams of 4 Mbit/s", streams, streams * BITS_PER_SECOND // PACKET_BITS, 1, True, True)
    for streams in (100, STREAMS)
)
WARM_SECONDS, SECONDS = 1.0, 5.0
RUNS: Final = 3
PORT: Final = 7000
WIRE: Final = ("10.254.0.1", "10.254.0.2")
LOOPBACK: Final = ("127.0.0.1", "127.0.0.2")

Host = Callable[[Connection, Case, tuple[str, str]], None]


def join(address: str, other: str) -> Join:
    return Join(address=address, port=PORT, host=other, host_port=PORT)


def outer(pipe: Connection, case: Case, addresses: tuple[str, str]) -> None:
    """The host of the cameras: says when it has sent all, and what its relay spent."""

    async def serve() -> None:
        with contextlib.ExitStack() as stack:
            async with NativePlane(asyncio.get_running_loop()) as plane:
                await plane.join(join(*addresses))
                pipe.send(plane.offer())
                plane.accept(pipe.recv())
                load = Load(case, stack)
                for number in range(case.streams):
                    name = str(number)
                    load.ports.append(await plane.bind(Open(stream=name, address=HOST, port=0)))
                    plane.tell(Expect(stream=name, source=(HOST,), ssrc=number, max_bits_per_second=1 << 40))
                    plane.view_over_trunk(
                        ViewOverTrunk(stream=name, viewer="trunk", number=number, payload_type=96)
                    )
                pipe.send(case.streams)
                thread = relay_thread()
                pipe.recv()
                drive(load, WARM_SECONDS)
                sent, spent = load.sent, run_nanoseconds(thread)
                pipe.send(None)
                begun = time.monotonic()
                drive(load, SECONDS)
                taken = time.monotonic() - begun
                spent = run_nanoseconds(thread) - spent
                trunk = plane.counters().trunk
                assert trunk is not None
                pipe.send(
                    {
                        "sent": load.sent - sent,
                        "sent_in_all": load.sent,
                        "received_in_all": sum(it.received for it in plane.counters().streams.values()),
                        "nanoseconds": spent,
                        "seconds": taken,
                        "unsent": trunk.unsent + trunk.unsealed,
                    }
                )

    asyncio.run(serve())


def inner(pipe: Connection, case: Case, addresses: tuple[str, str]) -> None:
    """The host of the viewers."""

    async def serve() -> None:
        with contextlib.ExitStack() as stack:
            async with NativePlane(asyncio.get_running_loop()) as plane:
                await plane.join(join(*reversed(addresses)))
                plane.accept(pipe.recv())
                pipe.send(plane.offer())
                load = Load(case, stack)
                for number in range(case.streams):
                    name = str(number)
                    sink = load.sink_ports[number % len(load.sink_ports)]
                    await plane.open_from_trunk(OpenFromTrunk(stream=name, number=number))
                    await plane.bind(AddViewer(stream=name, viewer="v", address=HOST, port=0))
                    plane.tell(
                        AimViewer(stream=name, viewer="v", host=HOST, port=sink, ssrc=number, payload_type=96)
                    )
                    plane.tell(
                        Expect(stream=name, source=(addresses[0],), ssrc=number, max_bits_per_second=1 << 40)
                    )
                over = threading.Event()
                draining = threading.Thread(target=drain, args=(load, over))
                draining.start()
                pipe.send(case.streams)
                thread = relay_thread()
                pipe.recv()  # warm
                spent, opened = run_nanoseconds(thread), opened_by(plane)
                pipe.recv()  # all sent
                spent, opened = run_nanoseconds(thread) - spent, opened_by(plane) - opened
                await asyncio.sleep(0.3)
                over.set()
                draining.join()
                counters = plane.counters()
                assert counters.trunk is not None
                viewers = [viewer for it in counters.streams.values() for viewer in it.viewers.values()]
                pipe.send(
                    {
                        "nanoseconds": spent,
                        "opened": opened,
                        "lost": counters.trunk.lost,
                        "refused": counters.trunk.refused.total,
                        "sent_in_all": sum(viewer.sent for viewer in viewers),
                        "unsent": sum(viewer.unsent for viewer in viewers),
                    }
                )

    asyncio.run(serve())


def opened_by(plane: NativePlane) -> int:
    trunk = plane.counters().trunk
    assert trunk is not None
    return trunk.opened


def drain(load: Load, over: threading.Event) -> None:
    while not over.is_set():
        load.drain()
        time.sleep(0.001)


@contextmanager
def hosts(case: Case, *, apart: bool) -> Iterator[tuple[Connection, Connection]]:
    """A process each; `apart` in a network each, with a wire between them."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    with contextlib.ExitStack() as held:
        networks = [Namespace(), Namespace()] if apart else []
        for network in networks:
            held.callback(network.close)
        if apart:
            near, far = networks
            wire("leg", (near, f"{WIRE[0]}/30"), (far, f"{WIRE[1]}/30"))
        for host, network in zip_longest((outer, inner), networks):
            ours, theirs = context.Pipe()
            process = context.Process(target=host, args=(theirs, case, WIRE if apart else LOOPBACK))
            with network.entered() if network is not None else nullcontext():
                process.start()
            held.callback(process.terminate)
            pipes.append(ours)
            processes.append(process)
        yield pipes[0], pipes[1]
        for process in processes:
            process.join()


def measure(case: Case, *, apart: bool) -> dict[str, Any]:
    with hosts(case, apart=apart) as (near, far):
        far.send(near.recv())
        near.send(far.recv())
        for pipe in (near, far):
            pipe.recv()
        near.send(None)
        near.recv()
        far.send(None)
        sent = near.recv()
        far.send(None)
        taken = far.recv()
    return {
        "streams": case.streams,
        "packets_per_second": round(sent["sent"] / sent["seconds"]),
        "outer_ns": sent["nanoseconds"] / sent["sent"],
        "inner_ns": taken["nanoseconds"] / max(taken["opened"], 1),
        "sent": sent["sent_in_all"],
        "lost_before": sent["sent_in_all"] - sent["received_in_all"],
        "unsent": sent["unsent"],
        "lost_between": taken["lost"],
        "refused": taken["refused"],
        "lost": sent["sent_in_all"] - taken["sent_in_all"] + taken["unsent"],
    }


def main() -> None:
    apart = why_not() is None
    where = "two namespaces" if apart else "loopback"
    results = []
    for case in CASES:
        runs = sorted((measure(case, apart=apart) for _ in range(RUNS)), key=lambda run: run["outer_ns"])
        middle = runs[RUNS // 2]
        work = f"leg: {case.work}, {where}"
        for host in ("outer", "inner"):
            value = round(middle[f"{host}_ns"], 1)
            results.append(
                Result(
                    work=f"{work}, {host} host",
                    value=value,
                    unit="ns of processor per packet and host",
                    better="lower",
                    raw={"runs": runs},
                )
            )
        lost = Result(
            work=f"{work}, lost between the hosts",
            value=middle["lost_between"] + middle["unsent"],
            unit="packets",
            better="lower",
            bar=0,
            raw=middle,
        )
        results.append(lost)
        print(
            f"{work}: {middle['outer_ns']:.0f} + {middle['inner_ns']:.0f} ns per packet,"
            f" {middle['packets_per_second']} packets/s, {lost.value:.0f} of {middle['sent']} lost"
        )
    save("leg", results)


if __name__ == "__main__":
    main()
