"""The house has floors: an import only ever goes down, or stays on its floor."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.core

PACKAGE = Path(__file__).resolve().parents[1] / "keras_unet"

FLOORS = [
    {
        "_version",
        "_lazy",
        "_registration",
        "_arguments",
        "_compiled",
        "_extras",
        "errors",
        "sample",
        "segmentation",
        "normalization",
    }
    | {"geometry", "files", "objects", "augmentation.field", "augmentation.ranges"},
    {"layers", "losses", "metrics"},
    {"models", "targets"},
    {"augmentation", "data"},
    {"inference"},
    {"training", "evaluation", "export"},
    {"report", "serving"},
    {"commands"},
]

# A convenience of an object may open a door upstairs, inside a function: (from, to).
DOORS = {
    ("inference.segmenter", "evaluation.scores"),
    ("inference.segmenter", "export.formats"),
}

# Plain NumPy: usable, and quick to import, without Keras and TensorFlow.
WITHOUT_KERAS = [
    "sample",
    "segmentation",
    "normalization",
    "geometry",
    "files",
    "objects",
    "augmentation.field",
    "augmentation.ranges",
    "metrics.isbi",
    "metrics.instances",
    "targets.weights",
    "targets.multitask",
]

# Run on every backend; a loss or a metric may import TensorFlow inside a function, and so may a
# layer that has a branch for it.
KERAS_OPS_ONLY = ["layers", "models", "losses", "metrics"]
WITH_A_BRANCH = ["layers.batch_normalization"]

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def parse(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(module: str, lazily: bool = True) -> set[str]:
    """Dotted names that a module imports; with `lazily` also inside functions."""
    found: set[str] = set()
    package = ["keras_unet", *module.split(".")][:-1]

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            path = ".".join([*base, *([node.module] if node.module else [])])
            found.update(f"{path}.{alias.name}" for alias in node.names)
        enters = lazily or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if enters and not is_type_checking(node):
            for child in ast.iter_child_nodes(node):
                visit(child)

    visit(parse(module))
    return found


def below(module: str, lazily: bool = True) -> set[str]:
    """Modules of the package that a module imports, such as "layers.center_crop"."""
    own = set()
    for name in imports(module, lazily):
        parts = name.split(".")
        if parts[0] == "keras_unet" and len(parts) > 1:
            path = ".".join(parts[1:])
            own.add(path if path in MODULES or len(parts) == 2 else path.rpartition(".")[0] or path)
    return own - {module}


def own_imports(module: str) -> set[str]:
    """The same without doors."""
    return {name for name in below(module) if (module, name) not in DOORS}


def floor(module: str) -> int | None:
    """Number of the floor, of the most specific name that is listed."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        for number, names in enumerate(FLOORS):
            if ".".join(parts[:length]) in names:
                return number
    return None


def part(module: str) -> str:
    """The name in `FLOORS` that a module belongs to."""
    parts = module.split(".")
    listed = set().union(*FLOORS)
    return next(
        (name for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in listed), module
    )


# `__init__` modules only list names; the command line sits on top of everything.
INSIDE = [name for name in MODULES if not name.endswith("__init__")]


@pytest.mark.parametrize("module", INSIDE)
def test_every_module_has_a_floor_and_imports_go_down(module):
    own = floor(module)
    assert own is not None, f"put {module} on a floor"
    above = {name for name in own_imports(module) if (floor(name) or 0) > own}
    assert not above, f"{module} imports from above: {sorted(above)}"


def circle(graph: dict[str, set[str]]) -> list[str]:
    """What is left of a graph when everything that leads to no circle is taken away."""
    graph = dict(graph)
    while graph:
        leaves = {name for name, below in graph.items() if not below & set(graph)}
        if not leaves:
            return sorted(graph)
        graph = {name: below for name, below in graph.items() if name not in leaves}
    return []


def test_no_circles_between_modules():
    graph = {module: own_imports(module) - {module} for module in INSIDE}
    assert circle(graph) == []


def test_a_circle_is_seen():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


def test_every_door_is_used_and_lies_inside_a_function():
    for module, above in DOORS:
        assert above in below(module, lazily=True), f"{module} has no door to {above}"
        assert above not in below(module, lazily=False), f"{module} imports {above} at its top"


def top(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("module", WITHOUT_KERAS)
def test_numpy_modules_import_no_keras(module):
    seen: set[str] = set()
    todo = {name for name in MODULES if name == module or name.startswith(f"{module}.")}
    assert todo
    while todo:
        name = todo.pop()
        seen.add(name)
        assert not top(imports(name)) & {"keras", "tensorflow", "jax", "torch"}, name
        todo |= {one for one in own_imports(name) if one in MODULES} - seen


@pytest.mark.parametrize("package", KERAS_OPS_ONLY)
def test_backend_independent_packages_import_no_backend(package):
    for module in INSIDE:
        if part(module) == package:
            backends = {"tensorflow", "jax", "torch"}
            assert not top(imports(module, lazily=False)) & backends, module
            if package in ("layers", "models") and module not in WITH_A_BRANCH:
                assert not top(imports(module)) & backends, module


@pytest.mark.parametrize("module", MODULES)
def test_only_public_keras_and_no_lambda_layers(module):
    assert not any(name.startswith("keras.src") for name in imports(module))
    for node in ast.walk(parse(module)):
        assert not (isinstance(node, ast.Attribute) and node.attr == "Lambda"), module
