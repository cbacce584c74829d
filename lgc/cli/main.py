"""The ``lgc`` command. Each command imports what it needs when it runs, so that help is instant."""

from __future__ import annotations

import sys

import typer

from lgc.cli import bench, codec, data, doctor, model, project, release, report, services, sweep
from lgc.errors import LgcError

app = typer.Typer(
    name="lgc",
    help="Layered generative compression: files that machines read and people look at.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
codec.register(app)
project.register(app)
doctor.register(app)
report.register(app)
sweep.register(app)
release.register(app)
app.add_typer(data.app, name="data")
app.add_typer(model.app, name="model")
app.add_typer(bench.app, name="bench")
app.add_typer(services.app, name="services")


def main() -> None:
    """Run the command line; errors a user can cause become one line and exit code 1."""
    try:
        app()
    except LgcError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # e.g. `lgc inspect x.lgc | head -1`
        sys.stderr.close()
        sys.exit(141)
