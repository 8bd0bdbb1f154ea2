"""YAML and JSON of unknown origin: measured before it is taken."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 2**18
MOST_NODES = 10_000
"""Values, names, lists and mappings together, each as often as an alias of YAML repeats it."""
MOST_LEVELS = 32
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def read_plain(path: Path) -> Any:
    """Reads a JSON (`.json`) or YAML (any other ending) file.

    Args:
        path: The file, in UTF-8.

    Returns:
        Its plain values.

    Raises:
        ValueError: If it is neither, or larger than a description can be: 256 KiB, 10,000 values
            with the repetitions of aliases, 32 levels. The message names the file.
    """
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    try:
        text = data.decode("utf-8-sig")
        return (parse_json_text if path.suffix.lower() == ".json" else parse_yaml)(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def parse_json_text(text: str, largest: int | None = MOST_BYTES) -> Any:
    """The plain values of a JSON text.

    Args:
        text: The text.
        largest: Number of characters; None for a text of any size. Defaults to 256 Ki.

    Raises:
        ValueError: As of `read_plain`.
    """
    _check_length(text, largest)
    level = 0
    for token in _JSON_TOKEN.finditer(text):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        _check_size(0, level)
    values = json.loads(text)
    if largest is not None:
        _check_size(sum(1 for _ in _nodes(values)), 0)
    return values


def parse_yaml(text: str) -> Any:
    """The plain values of a YAML text.

    Raises:
        ValueError: As of `read_plain`.
    """
    _check_length(text, MOST_BYTES)
    try:
        _measure(text)
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{place}{error.problem or error.context}") from error
    except ValueError:
        raise
    except Exception as error:  # PyYAML fails in many ways on a tag that does not fit its text
        raise ValueError(f"no YAML ({type(error).__name__}: {_short(error)})") from error


def _measure(text: str) -> None:
    """Raises a `ValueError` for a YAML of too many values or levels; builds none of them."""
    known: dict[str, tuple[int, int]] = {}  # anchor -> the values and levels that it stands for
    opened: list[list[Any]] = []  # anchor, values and levels of all that is not yet closed
    total = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append([event.anchor, 1, 1])
            total += 1
            _check_size(total, len(opened))
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, nodes, levels = opened.pop()
        elif isinstance(event, yaml.ScalarEvent):
            anchor, nodes, levels = event.anchor, 1, 0
            total += 1
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in [entry[0] for entry in opened]:
                raise ValueError(f"*{_short(event.anchor)} stands within itself")
            anchor, (nodes, levels) = None, known.get(str(event.anchor), (1, 0))
            total += nodes
        else:
            continue
        if anchor is not None:
            known[anchor] = nodes, levels
        _check_size(total, len(opened) + levels)
        if opened:
            opened[-1][1] += nodes
            opened[-1][2] = max(opened[-1][2], levels + 1)


def _nodes(values: Any) -> Iterator[Any]:
    """Everything that plain values hold, names too."""
    waiting = [values]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, dict):
            waiting += [*node, *node.values()]
        elif isinstance(node, list):
            waiting += node


def _check_length(text: str, largest: int | None) -> None:
    if largest is not None and len(text) > largest:
        raise ValueError(f"longer than a description can be, {largest:,} characters")


def _check_size(nodes: int, levels: int) -> None:
    if nodes > MOST_NODES:
        raise ValueError(f"more values than a description can have, {MOST_NODES:,}")
    if levels > MOST_LEVELS:
        raise ValueError(f"nested deeper than a description can be, {MOST_LEVELS} levels")


def _short(text: Any) -> str:
    return textwrap.shorten(str(text), 100)
