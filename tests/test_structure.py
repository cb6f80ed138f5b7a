"""The form of the product code: rules that hold for every module, and the map of the packages."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "llm_mesh_middleware"
MODULES = sorted((*PACKAGE.rglob("*.py"), *(ROOT / "integrations").rglob("*.py")))

LONGEST_MODULE = 400
LONGEST_FUNCTION = 50  # a screen, with its docstring
LONG_FUNCTION = 20  # nine of ten are no longer
FULLEST_PACKAGE = 12
FEWEST_COMMENTS = 3  # lines, for 100 lines of code

# Names that vendors give to members of requests and responses. `Usage` has no name of a vendor's:
# its `input_tokens` and `output_tokens` are the terms of OpenTelemetry's conventions.
VENDORS_NAMES = re.compile(
    r"\b(choices|prompt_tokens|(max_)?completion_tokens|max_output_tokens|stop_reason|message_delta)\b"
    r"|[\"']input_tokens[\"']"
)
MAY_NAME = (
    "_dialects/",  # a dialect knows its vendor's members
    "testing/",  # fake providers speak like their vendors
    "_telemetry/semconv.py",  # conventions, and the metrics of ASM, name them so
    "_telemetry/metrics/instruments.py",  # the same, as keys of the convention's tables
    "_telemetry/spans/request_attributes.py",  # attributes of the convention, by member
    "cli/demos/scenarios.py",  # an ordinary client: it reads what a provider responds
    "_schema/dialects.py",  # the values of an option that names a member
    "_compile/serving.py",  # the same, compiled
    "cli/convert/specs.py",  # members of another proxy's configuration
)
# Members that only a package of one vendor may name, in `_dialects` too.
OWN_NAMES = {
    re.compile(r"\b(choices|prompt_tokens|completion_tokens)\b"): ("openai_chat/",),
    re.compile(r"\b(stop_reason|message_delta)\b"): ("anthropic/", "bedrock/"),  # the same models
}


def _name(module: Path) -> str:
    base = PACKAGE if PACKAGE in module.parents else ROOT / "integrations"
    return module.relative_to(base).as_posix()


@cache
def _tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text())


def _functions(module: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    statements: list[ast.AST] = [_tree(module)]
    while statements:  # expressions, which are most of a tree, hold none
        node = statements.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        statements += (each for each in ast.iter_child_nodes(node) if isinstance(each, _HOLDERS))


_HOLDERS = (ast.stmt, ast.ExceptHandler, ast.match_case)


def test_no_module_is_too_long() -> None:
    lengths = {_name(module): module.read_text().count("\n") for module in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_no_module_of_tests_is_too_long() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): path.read_text().count("\n")
        for path in (ROOT / "tests").rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


@pytest.mark.slow
def test_nine_of_ten_functions_are_short() -> None:
    lengths = sorted(_length(node) for module in MODULES for node in _functions(module))
    assert lengths[len(lengths) * 9 // 10] <= LONG_FUNCTION


@pytest.mark.slow
def test_every_function_fits_a_screen() -> None:
    long = [
        f"{_name(module)}:{node.lineno} {node.name}"
        for module in MODULES
        for node in _functions(module)
        if _length(node) > LONGEST_FUNCTION
    ]
    assert long == []


def test_no_package_is_overfull() -> None:
    sizes = Counter(
        module.relative_to(ROOT).parent for module in MODULES if module.name != "__init__.py"
    )
    assert {str(p): size for p, size in sizes.items() if size > FULLEST_PACKAGE} == {}


# A line of a map: indented, of a table, in columns, or with arrows.
_DRAWN = re.compile(r"^(    |\|)|\S {3,}\S|[─│┌└├▼►]|-->")


def _code_and_comments(source: str) -> tuple[int, int]:
    """Count lines of code and of explanation.

    Comments explain, and so do maps, which are the drawn lines of a module's docstring.
    Comments for tools do not.
    """
    tree = ast.parse(source)
    code: set[int] = set()
    comments = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments += re.match(r"#\s*(noqa|type:|pragma)", token.string) is None
        elif token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            code.difference_update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    head = ast.get_docstring(tree, clean=False) or ""
    return len(code), comments + len(_drawn_lines(head))


def _drawn_lines(docstring: str) -> list[str]:
    return [line for line in docstring.splitlines() if _DRAWN.search(line)]


def test_lines_of_code_and_explanation_are_counted() -> None:
    source = '"""One.\n\n    a -> b\n"""\n\n# why\nx = 1  # noqa: E1\ny = 2  # so\n'
    assert _code_and_comments(source) == (3, 3)  # the end of the file counts as a line


@pytest.mark.slow
def test_code_is_explained() -> None:
    counts = [_code_and_comments(module.read_text()) for module in MODULES]
    code, comments = (sum(column) for column in zip(*counts, strict=True))
    assert comments * 100 >= FEWEST_COMMENTS * code


def _lines_with(pattern: re.Pattern[str], module: Path) -> list[str]:
    """Return the lines of code that have a vendor's name; prose may mention it."""
    prose = {
        line
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    return [
        f"{_name(module)}:{number}: {line.strip()}"
        for number, line in enumerate(module.read_text().splitlines(), 1)
        if number not in prose and pattern.search(line.partition("  # ")[0])
    ]


@pytest.mark.slow
def test_names_of_vendors_stay_in_their_dialects() -> None:
    outside = [m for m in MODULES if not _name(m).startswith(MAY_NAME)]
    assert [line for module in outside for line in _lines_with(VENDORS_NAMES, module)] == []


@pytest.mark.slow
@pytest.mark.parametrize("pattern", OWN_NAMES, ids=lambda pattern: OWN_NAMES[pattern][0])
def test_a_dialect_alone_knows_its_members(pattern: re.Pattern[str]) -> None:
    # `texts` lists names that are opaque to guards, whatever the dialect.
    others = [m for m in MODULES if _name(m).startswith("_dialects/") and m.stem != "texts"]
    own = tuple(f"_dialects/{package}" for package in OWN_NAMES[pattern])
    found = [_lines_with(pattern, m) for m in others if not _name(m).startswith(own)]
    assert [line for lines in found for line in lines] == []


def _imports(module: Path) -> Iterator[str]:
    """Yield the modules that a module imports, at run time or for types, by dotted name."""
    inside = module.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = inside[: len(inside) - node.level + 1]
            source = ".".join((*base, node.module)) if node.module else ".".join(base)
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def _cycles(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules that are left once all are taken away that import nothing of the rest."""
    left = {name: set(imports) for name, imports in graph.items()}
    while done := [name for name, imports in left.items() if not imports & left.keys() - {name}]:
        for name in done:
            del left[name]
    return sorted(left)


@pytest.mark.slow
@pytest.mark.parametrize("package", ["_core", "_dialects", "_engine", "_telemetry", "_mesh"])
def test_no_modules_import_each_other(package: str) -> None:
    modules = [m for m in sorted((PACKAGE / package).rglob("*.py")) if m.name != "__init__.py"]
    dotted = {".".join(m.relative_to(ROOT).with_suffix("").parts): m for m in modules}
    graph = {name: set(_imports(m)) & dotted.keys() - {name} for name, m in dotted.items()}
    assert _cycles(graph) == []


def test_a_cycle_is_found() -> None:
    assert _cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


def _contract(id: str) -> dict[str, list[str]]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (found,) = (contract for contract in config["contracts"] if contract["id"] == id)
    return dict(found)


def _layers(id: str) -> list[list[str]]:
    """Return the layers of a contract, top first; the order inside one says nothing."""
    return [sorted(re.findall(r"\w+", layer)) for layer in _contract(id)["layers"]]


def _drawn() -> list[list[list[str]]]:
    """Return the layers of each picture in CONTRIBUTING.md."""
    pictures = re.findall(
        r"^```text\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(), re.M | re.S
    )
    names = [[re.split(r"  +", line)[0] for line in p.splitlines() if line] for p in pictures]
    return [[sorted(line.split(" · ")) for line in lines] for lines in names]


def test_the_maps_in_contributing_are_those_that_imports_follow() -> None:
    packages, core, *_ = _drawn()
    integrations = _layers("nothing-below-an-integration")
    assert integrations.pop() == ["llm_mesh_middleware"]
    assert packages == integrations + _layers("layers")
    assert core == _layers("core-layers")


def test_every_contract_is_counted_in_contributing() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    numbers = ("eight", "nine", "ten", "eleven", "twelve")
    number = numbers[len(config["contracts"]) - 8]
    assert f"enforces {number} contracts" in (ROOT / "CONTRIBUTING.md").read_text()


def test_every_file_that_contributing_names_exists() -> None:
    named = re.findall(
        r"`((?:llm_mesh_middleware|tests)/[\w/.]+)`", (ROOT / "CONTRIBUTING.md").read_text()
    )
    assert len(named) > 10
    assert [p for p in named if "NAME" not in p and not (ROOT / p).exists()] == []


# Hard modules open with a picture: a table of states, a sequence, or layers.
HARD = (
    "_core/flow/exchange.py",
    "_core/flow/stream.py",
    "_core/flow/attempts/attempt.py",
    "_core/flow/attempts/plan.py",
    "_core/flow/attempts/sequence.py",
    "_core/caching/flights.py",
    "_core/limiting/budget.py",
    "_core/provider/health.py",
    "_core/values/steps.py",
    "_dialects/same/relay.py",
    "_dialects/translation/relay.py",
    "_dialects/translation/transformer.py",
    "_engine/drivers/async_driver.py",
    "_engine/drivers/driver.py",
    "_engine/http/http1.py",
    "_mesh/assembly.py",
    "_mesh/live_config.py",
    "cli/serving/http/connection.py",
)


def test_hard_modules_open_with_a_map() -> None:
    heads = {name: ast.get_docstring(_tree(PACKAGE / name), clean=False) or "" for name in HARD}
    assert [name for name, head in heads.items() if len(_drawn_lines(head)) < 3] == []


# Packages of `_dialects` that dialects share.
SHARED = {"claude", "openai", "same", "translation"}


def test_every_dialect_is_kept_apart_from_the_others() -> None:
    folders = {path.parent.name for path in (PACKAGE / "_dialects").glob("*/__init__.py")}
    apart = {name.rpartition(".")[2] for name in _contract("dialects")["modules"]}
    assert apart == folders - SHARED


# Where a dialect that no client speaks is named: its settings, its package, one table of tests.
PLACES = (
    "llm_mesh_middleware/_dialects/{name}/",
    "llm_mesh_middleware/_dialects/registry.py",
    "llm_mesh_middleware/_schema/",
    "llm_mesh_middleware/config.py",
    "llm_mesh_middleware/cli/convert/",  # names of another proxy
    "tests/cli/",  # the same
    "tests/clouds/test_{name}.py",  # its own rules
    "tests/translation/spoken/{name}.py",
    "tests/translation/odd_streams.py",  # some of its own, if it has any
    "tests/translation/dialect_table.py",
)


def test_a_dialect_is_named_by_its_package_the_registry_the_schema_and_one_table() -> None:
    """Bedrock is more than a dialect: its credentials and signatures are named elsewhere, too."""
    name = "ollama"
    is_code = re.compile(rf"{name}_?config|\bimport\b.*\b{name}\b|\b{name}\b.*\bimport\b", re.I)
    places = tuple(place.format(name=name) for place in PLACES)
    modules = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    named = {
        file.relative_to(ROOT).as_posix() for file in modules if is_code.search(file.read_text())
    }

    assert len(named) > 4
    assert {file for file in named if not file.startswith(places)} <= {"tests/test_structure.py"}
