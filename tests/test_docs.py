"""The documents at the top of the project: code blocks run or parse, names and links exist.

A comment before a block says what is special about it: `<!-- skip: reason -->` leaves it out,
`<!-- file: mesh.yaml -->` puts it into the folder in which the Python blocks run. Blocks that are a
`program:` or that `append:` to one are run by `tests/tutorials`.
"""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from llm_mesh_middleware import MeshSettings, exceptions
from llm_mesh_middleware._manifest import parse_manifest
from llm_mesh_middleware.cli import main

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
README = ROOT / "README.md"

FENCE = re.compile(r"^( *)(`{3,})(\S*)")
COMMENT = re.compile(r"^<!--\s*([\w ]+?)\s*(?::\s*(.*?)\s*)?-->$")
VARIABLE = re.compile(r"\$\{(\w+)\}")
SETTING = re.compile(r"LLM_MESH_[A-Z0-9_]*[A-Z0-9]")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HERE_DOCUMENT = re.compile(
    r"<<-?\s*(['\"]?)(\w+)\1([^\n]*)\n.*?^\s*\2$", flags=re.DOTALL | re.MULTILINE
)
SEPARATORS = frozenset("();<>|&\n")
NEEDS = {"semantic-cache": "numpy"}
NAMING = ("helm", "kubectl")  # what they are told is a name of something else


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `line` is where it opens, `note: detail` the comment before it."""

    document: Path
    line: int
    language: str
    text: str
    note: str
    detail: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def read_blocks(document: Path) -> Iterator[Block]:
    lines = enumerate(document.read_text("utf-8").splitlines(), start=1)
    before = ""
    for number, line in lines:
        if not (fence := FENCE.match(line)):
            before = line.strip() or before
            continue
        indent, ticks, language = fence.groups()
        body: list[str] = []
        for _, inner in lines:
            if inner.strip() == ticks:
                break
            body.append(inner.removeprefix(indent))
        comment = COMMENT.match(before)
        note, detail = comment.groups(default="") if comment else ("", "")
        yield Block(document, number, language, "\n".join(body) + "\n", note, detail)
        before = ""


BLOCKS = [block for document in DOCUMENTS for block in read_blocks(document)]


def write_files(document: Path) -> None:
    """Write the files that documents show into the folder; those of `document` itself count."""
    for block in sorted(BLOCKS, key=lambda block: block.document == document):
        if block.note == "file":
            Path(block.detail).write_text(block.text, "utf-8")


def generated_pages() -> dict[str, str]:
    """The pages that MkDocs is given by `docs/generate.py`."""
    folder = str(ROOT / "docs")
    sys.path.insert(0, folder)
    try:
        pages: dict[str, str] = importlib.import_module("generate").pages()
    finally:
        sys.path.remove(folder)
    return pages


GENERATED = generated_pages()


def blocks_in(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language and block.note != "skip"]


def commands(script: str) -> Iterator[list[str]]:
    """Split a shell script into simple commands, each a list of words."""
    script = HERE_DOCUMENT.sub(r"\3", script).replace("\\\n", " ")
    # shlex drops the line end together with a comment, so there are two of each.
    lexer = shlex.shlex(
        script.replace("\n", "\n\n"), posix=True, punctuation_chars="".join(SEPARATORS)
    )
    lexer.whitespace, lexer.whitespace_split = " \t\r", True
    words: list[str] = []
    for word in lexer:
        if SEPARATORS.issuperset(word):
            yield words
            words = []
        else:
            words.append(word)
    yield words


def mesh_commands(script: str) -> list[list[str]]:
    """The arguments of every `llm-mesh` in a script, whatever stands before it on the line."""
    return [
        words[position + 1 :]
        for words in commands(script)
        for position, word in enumerate(words)
        if Path(word).name == "llm-mesh" and words[0] not in NAMING
    ]


def command_problem(arguments: list[str]) -> str | None:
    """Ask click's own parser whether the command line can be right; nothing is run."""
    command: click.Command = main
    name: str | None = "llm-mesh"
    rest = list(arguments)
    context: click.Context | None = None
    try:
        while isinstance(command, click.Group):
            context = click.Context(command, info_name=name, parent=context)
            _, rest, _ = command.make_parser(context).parse_args(rest)
            if not rest:
                return None
            name, found, rest = command.resolve_command(context, rest)
            assert found is not None
            command = found
        inner = click.Context(command, info_name=name, parent=context)
        values, extra, _ = command.make_parser(inner).parse_args(list(rest))
        asks_for_help = not set(rest).isdisjoint(command.get_help_option_names(inner))
    except click.UsageError as error:
        return error.format_message()
    if asks_for_help:
        return None
    given = {name for name, value in values.items() if isinstance(value, str | tuple) and value}
    missing = [one.name for one in command.params if one.required and one.name not in given]
    return f"missing {missing}, left over {extra}" if missing or extra else None


def slug(heading: str) -> str:
    """The anchor that a Markdown page gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def prose(document: Path) -> str:
    """A document without its code blocks."""
    text = document.read_text("utf-8")
    return re.sub(r"^ *(`{3,}).*?^ *\1$", "", text, flags=re.DOTALL | re.MULTILINE)


def test_the_readme_shows_python_yaml_and_shell() -> None:
    assert {"python", "yaml", "sh"} <= {
        block.language for block in BLOCKS if block.document == README
    }


def test_the_readme_names_its_test_command_once() -> None:
    marked = [block for block in BLOCKS if block.note == "test command"]

    assert [(block.document, block.language) for block in marked] == [(README, "sh")]
    assert "pytest" in marked[0].text


def test_every_block_has_a_language_that_is_checked_or_is_plain_text() -> None:
    known = {"python", "yaml", "sh", "json", "text"}

    assert [str(block) for block in BLOCKS if block.language not in known] == []


def test_programs_are_in_tutorials_only() -> None:
    """Nothing runs them elsewhere."""
    programs = [block for block in BLOCKS if block.note in ("program", "append")]

    assert {block.document.parent.name for block in programs} == {"tutorials"}


def test_a_skipped_block_says_why() -> None:
    skipped = [block for block in BLOCKS if block.note == "skip"]

    assert [str(block) for block in skipped if len(block.detail.split()) < 2] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_python_blocks_run_in_order_and_leave_no_thread_behind(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if document.stem in NEEDS:
        pytest.importorskip(NEEDS[document.stem], reason="an extra is not installed")
    ours = [block for block in BLOCKS if block.document == document and block.note != "skip"]
    module = ModuleType(f"document_{document.stem.lower()}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.chdir(tmp_path)
    write_files(document)
    for block in blocks_in("yaml"):
        for name in VARIABLE.findall(block.text):
            monkeypatch.setenv(name, "not-a-real-key")

    threads = threading.enumerate()
    for block in (block for block in ours if block.language == "python"):
        if block.note in ("program", "append"):
            continue
        # Empty lines first, so that a traceback shows the document's own line number.
        source = "\n" * block.line + block.text
        code = compile(source, str(document), "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102  running our own document is the point
    left = [thread for thread in threading.enumerate() if thread not in threads]
    for thread in left:
        thread.join(5)  # some pools tell their threads to end, and do not wait for it
    assert [thread for thread in left if thread.is_alive()] == []


@pytest.mark.parametrize("block", blocks_in("yaml"), ids=str)
def test_yaml_blocks_are_manifests_without_a_problem(block: Block) -> None:
    environ = dict.fromkeys(VARIABLE.findall(block.text), "not-a-real-key")

    assert parse_manifest(block.text, source=str(block), environ=environ).problems == ()


def test_json_blocks_are_json() -> None:
    for block in blocks_in("json"):
        assert json.loads(block.text) is not None, str(block)


@pytest.mark.parametrize("block", blocks_in("sh"), ids=str)
def test_shell_blocks_are_shell_and_use_commands_and_options_that_exist(block: Block) -> None:
    syntax = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)

    assert syntax.stderr == ""
    assert [
        (arguments, problem)
        for arguments in mesh_commands(block.text)
        if (problem := command_problem(arguments))
    ] == []


OUTPUTS = [
    (before, block)
    for before, block in pairwise(BLOCKS)
    if block.note == "output" and before.language == "sh"
]


def test_every_output_follows_its_command() -> None:
    assert [after for _, after in OUTPUTS] == [block for block in BLOCKS if block.note == "output"]
    assert OUTPUTS


@pytest.mark.parametrize(("before", "block"), OUTPUTS, ids=str)
def test_an_output_is_what_the_command_before_it_prints(
    before: Block, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(block.document)
    for name in (name for one in blocks_in("yaml") for name in VARIABLE.findall(one.text)):
        monkeypatch.setenv(name, "not-a-real-key")

    (arguments,) = mesh_commands(before.text)
    result = CliRunner().invoke(main, arguments)

    assert (result.stdout, result.exit_code) == (block.text, 0)


def test_every_subcommand_is_shown_in_a_document() -> None:
    shown = {
        arguments[0]
        for block in blocks_in("sh")
        for arguments in mesh_commands(block.text)
        if arguments
    }

    assert set(main.commands) <= shown


def test_the_reference_has_every_setting_field_command_and_error() -> None:
    assert set(SETTING.findall(GENERATED["reference/settings.md"])) >= {
        f"LLM_MESH_{name.upper()}" for name in MeshSettings.model_fields
    }
    assert "`spec.rules[].backendRefs[].providerHost`" in GENERATED["reference/LLMRoute.md"]
    assert "`spec.endpoint` +" in GENERATED["reference/LLMProvider.md"]
    for name in main.commands:
        assert f"## llm-mesh {name}\n" in GENERATED["reference/commands.md"]
    assert "`gen_ai.client.token.usage` | histogram" in GENERATED["reference/metrics.md"]
    for name in exceptions.__all__:
        code = getattr(getattr(exceptions, name), "code", None)
        if isinstance(code, str):
            assert f"# {code}\n" in GENERATED[f"reference/errors/{code}.md"]


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir"]

    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reference" / "errors" / "route_not_found" / "index.html").is_file()


def test_no_document_names_a_setting_that_is_none() -> None:
    fields = {f"LLM_MESH_{name.upper()}" for name in MeshSettings.model_fields}
    named = {
        (document.name, name)
        for document in (README, ROOT / "CONTRIBUTING.md")
        for name in SETTING.findall(document.read_text("utf-8"))
    }

    assert {(document, name) for document, name in named if name not in fields} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_relative_links_lead_somewhere(document: Path) -> None:
    broken: list[str] = []
    for target in LINK.findall(prose(document)):
        name, _, anchor = target.partition("#")
        if ":" in name:
            continue
        page = (document.parent / name).resolve() if name else document
        if page.is_relative_to(ROOT / "docs") and str(page.relative_to(ROOT / "docs")) in GENERATED:
            continue
        if not page.exists():
            broken.append(target)
        elif anchor and page.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
            if anchor not in map(slug, headings):
                broken.append(target)

    assert broken == []


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("llm-mesh demo\n", [["demo"]]),
        ("# don't llm-mesh no\nA=1 B='2 3' llm-mesh serve -p 0 & # it\n", [["serve", "-p", "0"]]),
        ("llm-mesh demo # first\nllm-mesh schema", [["demo"], ["schema"]]),
        ("helm install llm-mesh charts/llm-mesh\n", []),
        ("curl x | .venv/bin/llm-mesh schema > out.json\n", [["schema"]]),
        ("llm-mesh explain \\\n  -H 'a: b'\n", [["explain", "-H", "a: b"]]),
        ("cat > a.yaml <<'EOF'\nit's llm-mesh\nEOF\nllm-mesh demo\n", [["demo"]]),
    ],
)
def test_mesh_commands_are_found_in_a_script(script: str, expected: list[list[str]]) -> None:
    assert mesh_commands(script) == expected


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        (["--version"], True),
        (["serve", "--help"], True),
        (["serve", "--port", "0"], True),
        (["serve", "--prot", "0"], False),
        (["serve", "--port"], False),
        (["demo", "twice"], False),
        (["bake"], False),
        (["convert", "litellm", "config.yaml"], True),
        (["convert", "bread", "config.yaml"], False),
        (["convert", "litellm"], False),
    ],
)
def test_a_wrong_command_line_is_noticed(arguments: list[str], *, fits: bool) -> None:
    assert (command_problem(arguments) is None) is fits
