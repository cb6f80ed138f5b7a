"""Output of commands: coloured on a terminal, plain lines otherwise.

rich obeys `NO_COLOR`, `FORCE_COLOR` and `TERM=dumb`.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .._core.explaining.text import Section

__all__ = ["make_console", "print_sections"]

_STYLES = {"selected": "bold green", "skipped": "red", "refused": "bold red"}


def make_console(*, stderr: bool = False) -> Console:
    """Return a console that prints text as it is: no markup, no automatic highlighting."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)


def print_sections(console: Console, sections: Iterable[Section]) -> None:
    """Print each section as a table."""
    for section in sections:
        console.print(Text(section.title, "bold"))
        table = Table.grid(padding=(0, 2, 0, 0))
        for row in section.rows:
            style = _STYLES.get(row[0], "cyan")
            table.add_row(Text(row[0], style), *map(Text, row[1:]))
        console.print(Padding(table, (0, 0, 0, 2)), soft_wrap=False)
