"""The command line: one module a command. Answers go to standard output, troubles to standard error.

Exit codes: 0 all is well, 1 something checked is not as it should be, 2 it cannot be done as asked.
"""

import typer

from gateway.cli import audit, check, init, run

app = typer.Typer(
    name="lockgate",
    help="Interconnect gateway for GB/T 28181 video networks: two networks, one lock between them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("check")(check.check)
app.command("init")(init.init)
app.add_typer(audit.app, name="audit")
