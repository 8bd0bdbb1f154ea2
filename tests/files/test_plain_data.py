"""YAML and JSON are measured before they are taken."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest

from keras_unet.files.plain_data import MOST_LEVELS, MOST_NODES, parse_yaml, read_plain

pytestmark = pytest.mark.core


def bomb(first, repeat, levels=12):
    """YAML whose every level repeats the one before it."""
    lines = [f"l0: &l0 {first}"]
    lines += [f"l{level}: &l{level} {repeat(f'*l{level - 1}')}" for level in range(1, levels)]
    return "\n".join(lines)


TOO_MANY = "more values than a description can have"
TOO_DEEP = "nested deeper than a description can be"
ILL_FILES = {
    "lists of aliases": ("a.yaml", bomb("[x]", lambda a: f"[{','.join([a] * 9)}]"), TOO_MANY),
    "mappings of aliases": (
        "a.yaml",
        bomb("{x: 1}", lambda a: "{" + ",".join(f"k{i}: {a}" for i in range(9)) + "}"),
        TOO_MANY,
    ),
    "merged mappings": (
        "a.yaml",
        bomb("{x: 1}", lambda a: f"{{<<: [{','.join([a] * 9)}]}}"),
        TOO_MANY,
    ),
    "aliases as names": (
        "a.yaml",
        bomb("{? [1, 2] : 1}", lambda a: f"{{? {a} : {a}}}", 40),
        TOO_MANY,
    ),
    "one alias above another": ("a.yaml", bomb("[x]", lambda a: f"[{a}]", 60), TOO_DEEP),
    "an alias within itself": ("a.yaml", "a: &a [1, {b: *a}]", "stands within itself"),
    "many values": ("a.yml", f"[{'1,' * MOST_NODES}]", TOO_MANY),
    "many lines": ("a.yaml", "- 1\n" * (MOST_NODES + 1), TOO_MANY),
    "deep lists": ("a.yaml", "[" * 20000 + "]" * 20000, TOO_DEEP),
    "deep mappings": ("a.yaml", "{a: " * 5000 + "1" + "}" * 5000, TOO_DEEP),
    "deep blocks": ("a.yaml", "- " * 5000, TOO_DEEP),
    "long": ("a.yaml", "# " + "x" * 300_000, "longer than"),
    "ill tags": ("a.yaml", "[!!bool perhaps]", "no YAML"),
    "ill numbers": ("a.yaml", "!!int ''", "no YAML"),
    "ill dates": ("a.yaml", "2024-99-99", "month must be in"),
    "code": ("a.yaml", "!!python/object/apply:os.getpid []", "could not determine a constructor"),
    "not YAML": ("a.yaml", "a: 1\nb: [1", "line 2, column 6: expected ',' or ']'"),
    "not UTF-8": ("a.yaml", b"a: \xff", "can't decode byte"),
    "JSON, many values": ("a.json", json.dumps([[]] * MOST_NODES), TOO_MANY),
    "JSON, deep lists": ("a.json", "[" * 100_000, TOO_DEEP),
    "JSON, deep mappings": ("a.JSON", '{"[":' * 5000, TOO_DEEP),
    "JSON, a long text": ("a.json", '"' + '\\"' * 200_000, "longer than"),
    "JSON, open texts": ("a.json", '"' + '\\"' * 100_000, "Unterminated"),
    "not JSON": ("a.json", "{", "Expecting property name"),
}


@pytest.mark.parametrize("case", ILL_FILES)
def test_ill_files_cost_little_and_are_named(case, tmp_path):
    name, text, message = ILL_FILES[case]
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            read_plain(tmp_path / name)
        assert time.process_time() - start < 20  # a second without the tracing; it may never end
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(str(tmp_path / name))
    assert len(str(caught.value)) < 500 + len(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_what_a_description_needs_is_taken(tmp_path):
    values = {"a": [1, 2.5, None, "x"], "b": {"c": [[]] * 2000}}
    for name in ("a.json", "b.yaml"):
        (tmp_path / name).write_text("\ufeff" + json.dumps(values), encoding="utf-8")
        assert read_plain(tmp_path / name) == values
    deep = "[" * MOST_LEVELS + "]" * MOST_LEVELS
    assert parse_yaml(deep) == json.loads(deep)
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: *a}") == {
        "a": {"x": 1},
        "b": {"x": 1, "y": {"x": 1}},
    }
    assert parse_yaml("") is None
