"""What commands print: tables of names and values."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

console = Console()


def as_text(value: Any) -> str:
    """A value in a table."""
    if value is None:
        return "-"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def print_values(
    title: str, values: dict[str, Any], meanings: dict[str, str] | None = None
) -> None:
    """A line a value: its name, the value, and what it means where that is known."""
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    for name, value in values.items():
        explained = [meanings.get(name, "")] if meanings else []
        table.add_row(name, as_text(value), *explained)
    console.print(table)
