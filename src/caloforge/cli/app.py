"""The command ``caloforge``: dispatch to the verbs, and one place where errors become messages and exit codes."""

from __future__ import annotations

import functools
import importlib
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from caloforge._version import __version__
from caloforge.cli.verbs import VERBS, Verb
from caloforge.errors import CaloForgeError

INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended
_TERMINATED = 143


class _LazyCommand(TyperCommand):
    """Stands for a verb in the help; becomes the verb itself, by importing its file, only when it is called."""

    def __init__(self, verb: Verb) -> None:
        super().__init__(verb.name, help=verb.help)
        self._verb = verb

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        function = vars(importlib.import_module(self._verb.module))[self._verb.function]

        @functools.wraps(function)
        def interruptible(*values: Any, **options: Any) -> None:
            try:
                function(*values, **options)
            except KeyboardInterrupt:
                raise typer.Exit(INTERRUPTED) from None

        app = typer.Typer(add_completion=False)
        app.command(name=self._verb.name, epilog=f"Example: {self._verb.example}")(interruptible)
        return typer.main.get_command(app).make_context(info_name, args, parent=parent, **extra)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"caloforge {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Fast simulation of particle detectors with generative models, and the evidence that it matches Geant4.

    Energies are in MeV, lengths in mm. `caloforge VERB --help` shows what a verb takes, with an example.
    """


def _command() -> TyperGroup:
    app = typer.Typer(
        add_completion=False, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
    )
    app.callback()(_options)
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for verb in VERBS:
        group.add_command(_LazyCommand(verb))
    return group


def _terminate(number: int, frame: Any) -> None:
    # Leave through the clean-up of every open output, as after Ctrl-C.
    raise SystemExit(_TERMINATED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 for failed work, 2 for a bad request, 130 for Ctrl-C."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        _command().main(args=arguments, prog_name="caloforge")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return INTERRUPTED
    except CaloForgeError as error:
        # Messages of libraries may hold line breaks; the promise is one line.
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0
