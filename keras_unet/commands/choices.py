"""Options with a closed list of values: help shows it, and others are refused before anything."""

from __future__ import annotations

from typing import Any

import typer


def one_of(*choices: str, **options: Any) -> Any:
    """A `typer.Option` that takes one of the choices; for anything else the exit code is 2."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in choices:
            raise typer.BadParameter(f"it is one of {', '.join(choices)}. Received: {value}")
        return value

    return typer.Option(callback=check, metavar="|".join(choices), **options)


def pixels_or_word(value: str | None) -> int | str | None:
    """A number of pixels as an integer; words, which whoever takes them checks, as they are."""
    return int(value) if value is not None and value.isdecimal() else value
