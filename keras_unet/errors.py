"""The error for people: one problem, and the way out in the words of the place; lists in it."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 8
"""Entries of a list that a message shows."""


def listed(items: Iterable[object], most: int = SHOWN, separator: str = ", ") -> str:
    """The first entries of a list, and dots where there are more.

    Example:
        >>> listed(range(5)), listed("abcd", most=3)
        ('0, 1, 2, 3, 4', 'a, b, c, ...')
    """
    texts = [str(item) for item in items]
    return separator.join([*texts[:most], *["..."] * (len(texts) > most)])


def counted(names: Iterable[str]) -> str:
    """The first names of a list, and how many there are.

    Example:
        >>> counted("abcdefghijk")
        'a, b, c, d, e, f, g, h, ... (11)'
    """
    names = list(names)
    text = ", ".join(names[:SHOWN]) or "none"
    return f"{text}, ... ({len(names):,})" if len(names) > SHOWN else text


class UsageError(ValueError):
    """A problem that its reader can mend; it tells Python users and command-line users apart.

    `str(error)` speaks Python, `error.command_line` is what the command prints.

    Args:
        problem: What is wrong, with the value and the file, and no advice: "x.tif has 2 channels
            (DAPI, GFP)".
        python: The way out in Python: "give channel=0 or channel=1".
        command: The way out on the command line, with options that the command has: "say
            `--channel 1` or `--channel 2`". None if the command line reaches the error never, or
            by the same words. Defaults to None.

    Example:
        >>> error = UsageError("x.tif has 2 channels", "give channel=0", "say --channel 1")
        >>> print(error)
        x.tif has 2 channels; give channel=0
        >>> print(error.command_line)
        x.tif has 2 channels; say --channel 1
    """

    def __init__(self, problem: str, python: str, command: str | None = None) -> None:
        super().__init__(f"{problem}; {python}")
        self.problem = problem
        self.python = python
        self.command = python if command is None else command

    @property
    def command_line(self) -> str:
        """The message in the words of the command line."""
        return f"{self.problem}; {self.command}"

    def about(self, what: str) -> UsageError:
        """The same with what it is about before the problem."""
        return UsageError(f"{what}: {self.problem}", self.python, self.command)

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        """Errors travel between processes."""
        return type(self), (self.problem, self.python, self.command)


def in_command(error: Exception) -> str:
    """The text of any error in the words of the command line."""
    return error.command_line if isinstance(error, UsageError) else str(error)


def one_line(text: str) -> str:
    r"""A text on one line, with what cannot be printed, as names of files may hold, as escapes.

    Example:
        >>> print(one_line("a\tb.png is\n damaged"))
        a\tb.png is damaged
    """
    lines = " ".join(line.strip() for line in text.splitlines() if line.strip())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in lines)
