"""What the design promises about the code itself, read from its syntax trees."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "hts"
HEAVY = ("torch", "dask", "distributed", "zarr", "numba", "pandas", "cellpose")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Found:
    """A definition, its file below the package, and its dotted name in it."""

    file: str
    name: str
    node: Definition

    def __str__(self) -> str:
        return f"{self.file}:{self.node.lineno} {self.name}"

    @property
    def is_function(self) -> bool:
        return not isinstance(self.node, ast.ClassDef)

    @property
    def lines(self) -> int:
        """Lines without the docstring."""
        total = (self.node.end_lineno or 0) - self.node.lineno + 1
        if ast.get_docstring(self.node) is None:
            return total
        text = self.node.body[0]
        return total - ((text.end_lineno or 0) - text.lineno + 1)

    @property
    def parameters(self) -> int:
        """Parameters without self and cls."""
        given = self.node.args
        names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        return len([name for name in names if name not in ("self", "cls")])


def _trees(folder: Path) -> dict[str, ast.Module]:
    files = sorted(folder.rglob("*.py"))
    assert files
    return {file.relative_to(folder).as_posix(): ast.parse(file.read_text("utf-8")) for file in files}


TREES = _trees(PACKAGE)


def _definitions(file: str, node: ast.AST, prefix: str = "") -> Iterator[Found]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition):
            yield Found(file, prefix + child.name, child)
            yield from _definitions(file, child, f"{prefix}{child.name}.")
        else:
            yield from _definitions(file, child, prefix)


DEFINITIONS = [found for file, tree in TREES.items() for found in _definitions(file, tree)]
FUNCTIONS = [found for found in DEFINITIONS if found.is_function]


def _is_kernel_file(file: str) -> bool:
    return Path(file).name.startswith("_kernels")


def _imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Top-level names of absolute imports with their lines; imports for type checkers only do not count."""
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0], node.lineno


# --- size --------------------------------------------------------------------------------------------------------


def test_functions_are_short():
    long = [
        f"{found} {found.lines}" for found in FUNCTIONS if found.lines > (80 if _is_kernel_file(found.file) else 60)
    ]
    assert long == []
    by_length = sorted(FUNCTIONS, key=lambda found: found.lines)
    tail = by_length[int(0.9 * len(by_length))]
    assert tail.lines <= 30, str(tail)


def test_modules_are_short():
    counts = {file: len((PACKAGE / file).read_text("utf-8").splitlines()) for file in TREES}
    assert {file: count for file, count in counts.items() if count > 400} == {}


def test_functions_have_few_parameters():
    """Options of the command line are parameters of its verbs; those are exempt."""
    many = [f"{found} {found.parameters}" for found in FUNCTIONS if found.parameters > 7]
    assert [line for line in many if not line.startswith("cli/")] == []


# --- manners -----------------------------------------------------------------------------------------------------


def _is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(ast.unparse(kind) in ("Exception", "BaseException") for kind in kinds)


def _reraises(handler: ast.ExceptHandler) -> bool:
    """Whether the handler ends by raising what it caught: it cleans up and swallows nothing."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_only_the_engine_catches_everything():
    broad = [
        f"{file}:{node.lineno}"
        for file, tree in TREES.items()
        if not file.startswith("engine/")
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node) and not _reraises(node)
    ]
    assert broad == []


def test_only_the_command_line_prints():
    prints = [
        f"{file}:{node.lineno}"
        for file, tree in TREES.items()
        if not file.startswith("cli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert prints == []


def test_input_is_never_checked_by_assert():
    found = [
        f"{file}:{node.lineno}"
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_nothing_is_left_undone():
    undone = [
        f"{file}:{number}"
        for file in TREES
        for number, line in enumerate((PACKAGE / file).read_text("utf-8").splitlines(), 1)
        if re.search(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError", line)
    ]
    assert undone == []


def _is_public(found: Found) -> bool:
    folders = Path(found.file).parts[:-1]
    module = Path(found.file).stem
    if any(part.startswith("_") for part in folders) or (module.startswith("_") and module != "__init__"):
        return False
    return not any(part.startswith("_") for part in found.name.split("."))


def test_everything_public_says_what_it_is():
    """Modules, classes and functions. Methods and properties too, unless their name and type say it all."""
    silent = [file for file, tree in TREES.items() if ast.get_docstring(tree) is None]
    assert silent == []
    top = [found for found in DEFINITIONS if "." not in found.name and _is_public(found)]
    assert [str(found) for found in top if ast.get_docstring(found.node) is None] == []
    spoken = ("store/", "recipe/", "model.py", "errors.py", "arrays.py")
    members = [found for found in DEFINITIONS if found.file.startswith(spoken) and _is_public(found)]
    assert [str(found) for found in members if ast.get_docstring(found.node) is None] == []


# --- who may import what -----------------------------------------------------------------------------------------

ALLOWED = {
    "numba": r".*/_kernels\w*\.py",
    "zarr": r"store/.*",
    "ome_zarr": r"store/.*",
    "dask": r"engine/.*",
    "distributed": r"engine/.*",
    "cupy": r"arrays\.py",
    "cupyx": r"arrays\.py",
    "torch": r"(stages/(segment|embed|classify)|train)/.*",
    "cellpose": r"(stages/(segment|embed|classify)|train)/.*",
    "bokeh": r"report/.*",
    "matplotlib": r"report/.*",
    "typer": r"cli/.*",
    "rich": r"cli/.*",
}


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_are_imported_only_where_they_belong(package):
    found = [
        f"{file}:{line}"
        for file, tree in TREES.items()
        for name, line in _imports(tree)
        if name == package and not re.fullmatch(ALLOWED[package], file)
    ]
    assert found == []


def test_the_rules_about_imports_are_about_something():
    imported = {name for tree in TREES.values() for name, _ in _imports(tree)}
    assert {"numba", "zarr", "distributed", "cupyx", "bokeh", "typer"} <= imported


# --- kernels -----------------------------------------------------------------------------------------------------


def _decorators(found: Found) -> list[str]:
    return [ast.unparse(decorator) for decorator in found.node.decorator_list]


def _kernels() -> list[Found]:
    """Compiled functions; helpers that only other kernels call begin with an underscore."""
    compiled = [
        found for found in FUNCTIONS if any("jit" in text or "vectorize" in text for text in _decorators(found))
    ]
    return [found for found in compiled if not found.name.startswith("_")]


def test_kernels_live_in_their_own_files():
    assert _kernels()
    assert [str(found) for found in _kernels() if not _is_kernel_file(found.file)] == []


def test_every_kernel_has_a_twin():
    texts = [file.read_text("utf-8") for file in sorted((REPOSITORY / "tests" / "reference").glob("*.py"))]
    without = [str(found) for found in _kernels() if not any(re.search(rf"\b{found.name}\b", text) for text in texts)]
    assert without == []


def test_kernels_are_cached_and_release_the_lock_but_never_cached_as_ufuncs():
    """`guvectorize` with a cache crashes under Dask (numba #4807, #10128)."""
    for found in _kernels():
        for text in _decorators(found):
            if "vectorize" in text:
                assert "cache=True" not in text, str(found)
            else:
                assert "cache=True" in text, str(found)
                assert "nogil=True" in text, str(found)


# --- tests -------------------------------------------------------------------------------------------------------


def test_every_expected_error_is_matched_by_its_text():
    bare = [
        f"{file}:{node.lineno}"
        for file, tree in _trees(REPOSITORY / "tests").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "pytest.raises"
        and "match" not in {keyword.arg for keyword in node.keywords}
    ]
    assert bare == []


# --- start -------------------------------------------------------------------------------------------------------


def _loaded_after(code: str) -> list[str]:
    script = f"{code}\nimport sys\nprint('loaded', [name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout.rpartition("loaded ")[2])


def test_importing_hts_loads_nothing_heavy():
    assert _loaded_after("import hts; dir(hts)") == []


@pytest.mark.parametrize(
    "verb",
    [
        "",
        "demo",
        "synth",
        "inspect",
        "models",
        "models list",
        "convert",
        "validate",
        "plan",
        "run",
        "status",
        "report",
        "evaluate objects",
    ],
)
def test_help_loads_nothing_heavy(verb):
    code = f"""
import sys
from hts.cli import main
sys.argv = ["hts", *{verb!r}.split(), "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    assert _loaded_after(code) == []


def test_every_public_name_is_there():
    import hts

    for name in hts.__all__:
        assert getattr(hts, name) is not None
        assert name in dir(hts)
    with pytest.raises(AttributeError, match="module 'hts' has no attribute 'Plates'"):
        _ = hts.Plates
