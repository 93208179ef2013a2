"""`lockgate run`: the gateway, until it is stopped."""

import typer

from gateway import log
from gateway.chamber.audit import AuditUnavailable
from gateway.cli.check import DEFAULT, ConfigFile, tell
from gateway.config import examine
from gateway.store.sqlite.writer import StoreUnavailable


def run(config: ConfigFile = DEFAULT) -> None:
    """Run the gateway until Ctrl-C or SIGTERM; exit 2 when the configuration is not usable."""
    examined = examine(config)
    tell(examined.warnings)
    if examined.config is None or examined.problems:
        tell(examined.problems)
        raise typer.Exit(2)
    log.setup(examined.config.log.level, examined.config.log.form)
    from gateway import app  # the engine and its libraries: not for `check` and `init`

    try:
        code = app.run(examined.config)
    except (AuditUnavailable, StoreUnavailable) as error:
        typer.echo(f"The gateway cannot run: {error}", err=True)
        raise typer.Exit(2) from error
    except OSError as error:
        typer.echo(
            f"The gateway cannot run: {error}. Check that the addresses of both sides in {config} "
            "are those of this machine and that their ports are free.",
            err=True,
        )
        raise typer.Exit(2) from error
    raise typer.Exit(code)
