"""Progress of a training on the terminal, or silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final


@final
class TrainingProgress:
    """Bars with rate and time left, and lines, on stderr; nothing when not ``shown``."""

    def __init__(self, *, shown: bool) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, quiet=not shown)

    def say(self, line: str) -> None:
        """Print one line."""
        self.console.print(line, highlight=False)

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        """Show a bar; yields the function to call with the number of steps done."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console, transient=True) as display:
            task = display.add_task(title, total=total, completed=done)
            yield lambda steps: display.advance(task, steps)
