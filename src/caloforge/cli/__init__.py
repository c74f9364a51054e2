"""The command line: one file a verb, imported when the verb is called."""

from caloforge.cli.app import main

__all__ = ["main"]
