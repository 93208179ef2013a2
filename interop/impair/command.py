"""`lockgate-sim impair`: a bad network between any two ends."""

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from interop.impair.plan import Plan, UnusablePlan, read_plan
from interop.impair.relay import Relay
from interop.sim.frame import Frame, Misuse
from interop.sim.net import RealNet
from interop.sim.options import Options, address_of
from interop.sim.station import Reporter, run, until_stopped
from interop.words import Saying, saying
from sip.uri import host_port


def add(app: typer.Typer, frame: Frame, options: Options) -> None:
    words = frame.words

    @app.command("impair", **frame.command(words.say("program.impair")))
    def impair(
        listen: Annotated[str, options.impair_listen],
        other: Annotated[str, options.other],
        plan: Annotated[Path, options.impair_plan],
        one: Annotated[str, options.one] = "",
        seed: Annotated[int | None, options.seed] = None,
        seconds: Annotated[float | None, options.seconds] = None,
        as_json: Annotated[bool, options.as_json] = False,
        every: Annotated[float, options.every] = 5.0,
    ) -> None:
        here, far = address_of(listen, "--listen"), address_of(other, "--other")
        near = address_of(one, "--one") if one else None
        planned = plan_of(plan, seed)
        reporter = Reporter(words, as_json=as_json, every=every)

        async def main() -> list[Saying]:
            relay = Relay(RealNet(), here, near, far, planned)
            try:
                reporter.say("started", address=host_port(*relay.address))
                forever = asyncio.Event().wait()
                await until_stopped(forever, lambda: dict(relay.totals()), reporter, seconds=seconds)
            finally:
                relay.close()
            return []

        run(main(), words)


def plan_of(file: Path, seed: int | None) -> Plan:
    try:
        plan = read_plan(file)
    except UnusablePlan as error:
        raise Misuse(saying("usage.needs_plan", option="--plan", file=str(file), why=str(error))) from None
    return plan if seed is None else msgspec.structs.replace(plan, seed=seed)
