"""The ``lgc`` command. Each command imports what it needs when it runs, so that help is instant."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from lgc import __version__
from lgc.cli import bench, codec, data, doctor, model, output, project, release, report, services, sweep
from lgc.errors import LgcError, without_secrets

_UsageError: Final[Any] = typer.BadParameter.__base__
"""Click's, which is a part of newer typers and a package beside older ones."""


class _Interrupted(Exception):
    """Ctrl-C in a command; typer would turn a ``KeyboardInterrupt`` into an exit code without a word."""


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise _Interrupted(str(interrupt)) from None


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"lgc {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="lgc",
    cls=_Group,
    help="Layered generative compression: files that machines read and people look at.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(codec.compress)
app.command()(codec.decompress)
app.command()(codec.analyze)
app.command()(codec.inspect)
app.command()(codec.strip)
app.command()(project.compose)
app.command(context_settings={"ignore_unknown_options": True})(project.repro)  # they are DVC's
app.command()(doctor.doctor)
app.command()(report.report)
app.command()(sweep.sweep)
app.command()(sweep.promote)
app.command()(release.release)
app.add_typer(data.app, name="data")
app.add_typer(model.app, name="model")
app.add_typer(bench.app, name="bench")
app.add_typer(services.app, name="services")


@app.callback()
def _of_every_command(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command line; errors a user can cause become one line and exit code 1, wrong usage 2."""
    sys.exit(output.run(_run))


def _run() -> int:
    """Its exit code."""
    try:
        _refuse_empty(sys.argv[1:])
        code = app(prog_name="lgc", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except LgcError as error:
        print(f"error: {without_secrets(str(error))}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        package = (error.name or "lgc").partition(".")[0]
        if package == "lgc" or package in sys.stdlib_module_names:
            raise
        print(f"error: the Python module {error.name} is missing; pip install 'lgc[train,eval]'", file=sys.stderr)
        return 1
    except _UsageError as error:
        _tell(error)
        return int(error.exit_code)
    except (_Interrupted, KeyboardInterrupt) as interrupt:
        print("interrupted" + (f"; {interrupt}" if str(interrupt) else ""), file=sys.stderr)
        return 130


def _refuse_empty(words: Sequence[str]) -> None:
    """A shell variable that is not set leaves an empty word, and an empty path is the working directory."""
    for place, word in enumerate(words):
        if not word or (word.startswith("-") and word.endswith("=")):
            before = " ".join(["lgc", *words[:place], *([word] if word else [])])
            raise LgcError(f"{before}: the next word is empty; set the variable it came from, or leave it out")


def _tell(error: Any) -> None:
    """Wrong usage in one line; a command without its words has shown its help already."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return
    command = error.ctx.command_path if error.ctx else "lgc"
    said = without_secrets(" ".join(error.format_message().split())).rstrip(".")
    print(f"error: {command}: {said} (see {command} --help)", file=sys.stderr)
