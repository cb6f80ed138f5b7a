"""Words of documents, and of the code's own prose: a list, and what to write instead.

Spelling is codespell's business; this is the style that a reader should not have to decode.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rows import rows
from tests.test_docs import DOCUMENTS, GENERATED, ROOT, prose

INSTEAD = {
    "all the same": "still",
    "anew": "again",
    "as a rule": "usually",
    "at hand": "available",
    "comes? to nothing": "fails",
    "everything that is wrong": "the errors",
    "for want of": "without",
    "goes before": "overrides",
    "in good order": "properly, without an error",
    "is to be had": "is available",
    "let go": "close, release",
    "limits? of time": "timeout",
    "mend(s|ed|ing)?": "fix",
    "no twins?": "no equivalent",
    "of its own accord": "by itself",
    "one's own": "your own",
    "that is no": "that is not a",
    "utili[sz]e": "use",
    "what is to be": "what",
    "whence": "from where",
    "whoever": "anyone who",
}
WORDS = re.compile(rf"\b({'|'.join(INSTEAD)})\b", re.IGNORECASE)
TEXTS = {
    **{str(path.relative_to(ROOT)): prose(path) for path in DOCUMENTS},
    **{path: text for path, text in GENERATED.items() if not path.startswith("project/")},
}
del TEXTS["CONTRIBUTING.md"]  # names the words to avoid
FOLDERS = ("llm_mesh_middleware", "integrations")
MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
# A module's docstring says what it is, or what it does, not a question that it answers.
_QUESTION = re.compile(r"(How|What|When|Where|Whether|Which|Who|Why)\b")


def _texts(module: Path) -> Iterator[str]:
    """Yield the comments of a module, and its strings: docstrings, messages, descriptions."""
    for token in tokenize.generate_tokens(io.StringIO(module.read_text()).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield token.string


@rows("name", sorted(TEXTS))
def test_a_document_has_the_common_word(name: str) -> None:
    found = WORDS.findall(TEXTS[name])

    assert [word[0] for word in found] == []


@pytest.mark.slow
def test_code_has_the_common_word() -> None:
    found = [
        f"{module.relative_to(ROOT)}: {word[0]!r} in {text[:80]}"
        for module in MODULES
        for text in _texts(module)
        for word in WORDS.findall(text)
    ]

    assert found == []


# A function's docstring begins with a verb; a property's need not, and a command's is its help.
_NO_VERB = re.compile(
    r"(A|All|An|As|Each|From|How|In|It|Its|None|Of|One|The|There|This|What|When|Where|Whether|Which"
    r"|Who|Whoever|Why|With|Without)\b|`"
)


def _first_words(module: Path) -> Iterator[str]:
    """Yield the docstrings of functions, without properties, constructors and commands."""
    for node in ast.walk(ast.parse(module.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name == "__init__":
            continue
        decorated = " ".join(map(ast.unparse, node.decorator_list))
        if not re.search(r"property|command|group|fixture", decorated):
            yield ast.get_docstring(node) or ""


@pytest.mark.slow
def test_docstrings_of_functions_begin_with_a_verb() -> None:
    found = [
        f"{module.relative_to(ROOT)}: {text[:80]}"
        for module in MODULES
        for text in _first_words(module)
        if _NO_VERB.match(text)
    ]

    assert found == []


@pytest.mark.slow
def test_no_module_opens_with_a_question() -> None:
    heads = {
        str(module.relative_to(ROOT)): (ast.get_docstring(ast.parse(module.read_text())) or "")
        for module in MODULES
    }

    assert {name: head[:80] for name, head in heads.items() if _QUESTION.match(head)} == {}


@rows(
    ("text", "is_found"),
    [("It is read anew.", True), ("Whoever calls", True), ("A canoe", False), ("renewed", False)],
)
def test_words_are_found_whole(text: str, *, is_found: bool) -> None:
    assert bool(WORDS.search(text)) is is_found
