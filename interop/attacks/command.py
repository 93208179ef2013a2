"""`lockgate-sim attack`: how a registrar of yours stands up to strangers."""

from collections.abc import Coroutine
from typing import Annotated, Any, Final

import typer

from interop.attacks import suite
from interop.attacks.ground import Target, Unusable, prepared
from interop.attacks.loads import Load
from interop.attacks.table import as_json, show
from interop.sim.frame import Frame, Misuse
from interop.sim.net import RealNet
from interop.sim.options import Options, address_of, check_id, listen_of, server_of
from interop.sim.station import run
from interop.words import Saying, Words, saying

KEYS: Final = tuple(attack.key for attack in suite.every(Load()))


def add(app: typer.Typer, frame: Frame, options: Options) -> None:
    words = frame.words

    @app.command("attack", **frame.command(words.say("program.attack")))
    def attack(
        server: Annotated[str, options.server],
        server_id: Annotated[str, options.server_id],
        password: Annotated[str, options.password],
        user: Annotated[str, options.attacked] = "44010600002000000001",
        server_domain: Annotated[str, options.server_domain] = "",
        listen: Annotated[str, options.attack_listen] = "",
        other_host: Annotated[str, options.other_host] = "",
        other_user: Annotated[str, options.other_user] = "",
        other_password: Annotated[str, options.other_password] = "",
        other_door: Annotated[str, options.other_door] = "",
        only: Annotated[list[str] | None, options.only] = None,
        guesses: Annotated[int, options.guesses] = 30,
        rate: Annotated[int, options.flood_rate] = 2_000,
        flood_seconds: Annotated[float, options.flood_seconds] = 3.0,
        patience: Annotated[float, options.patience] = 2.0,
        stale_seconds: Annotated[float, options.stale_seconds] = 0.0,
        json_lines: Annotated[bool, options.as_json] = False,
    ) -> None:
        above = server_of(server, server_id, server_domain)
        check_id("--user", user)
        check_only(only or [])
        target = Target(
            address=above.address,
            id=above.id,
            domain=above.domain,
            user=user,
            password=password,
            other_user=other_user,
            other_password=other_password,
            other_door=address_of(other_door, "--other-door") if other_door else None,
            patience=patience,
            stale_seconds=stale_seconds,
        )
        host = listen_of(listen, above)[0]
        load = Load(guesses=guesses, rate=rate, seconds=flood_seconds, echo_seconds=patience)
        run(attacked(target, host, other_host or neighbour(host), load, only or [], json_lines, words), words)


def attacked(
    target: Target, host: str, other: str, load: Load, only: list[str], json_lines: bool, words: Words
) -> Coroutine[Any, Any, list[Saying]]:
    async def main() -> list[Saying]:
        found: list[suite.Found] = []
        try:
            async with prepared(RealNet(), target, host, other) as ground:
                async for one in suite.run(ground, load, only):
                    found.append(one)
                    if json_lines:
                        print(as_json(one), flush=True)
        except Unusable as error:
            why = saying("why.statuses", said=error.status) if error.status else saying("why.silence")
            return [saying("attack.unusable", why=why)]
        if not json_lines:
            show(found, words)
        failed = [one.attack.key for one in found if one.outcome.passed is False]
        if not failed:
            return []
        return [saying("attack.fell", count=len(failed), of=len(found), attacks=", ".join(failed))]

    return main()


def neighbour(host: str) -> str:
    """Another address of this machine, where one is known without asking: on the loopback, the next one."""
    first, _, last = host.rpartition(".")
    if first.startswith("127."):
        return f"{first}.{int(last) % 254 + 1}"
    return host


def check_only(only: list[str]) -> None:
    for key in only:
        if key not in KEYS:
            raise Misuse(saying("usage.needs_attack", option="--only", text=key, known=", ".join(KEYS)))
