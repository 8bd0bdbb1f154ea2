"""Runs a command in this process, as a user types it."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner

from keras_unet.commands.app import app


def invoke(*arguments: Any, code: int = 0) -> str:
    """What the command prints; fails unless it ends with the exit code."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output
