"""Whatever a text holds, it is read or refused, never a crash."""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_mesh_middleware._manifest.placeholders import substitute
from tests.config.documents import PROVIDER_HEAD, match, parse, provider, rules
from tests.texts import texts

# Letters that mean something to YAML or to us come up more often than chance has it.
YAML_TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from("\n\n  :-[]{}&*!|>'\"#%@`,?<${}\\09aetx.")),
    max_size=60,
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), texts(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(texts(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def assert_told(text: str) -> None:
    """Each problem is printable and stands somewhere in the text."""
    lines = text.count("\n") + sum(text.count(character) for character in "\r\x85\u2028\u2029") + 1
    manifest = parse(text)
    for problem in manifest.problems:
        assert 1 <= problem.line <= lines
        assert problem.column >= 1
        assert str(problem).encode("utf-8").startswith(b"mesh.yaml:")
        assert "\n" not in str(problem)
    for resource in manifest.resources:
        assert repr(resource)


@given(YAML_TEXT)
@example("\x00")
@example("\ufeff")
@example('"\\UFFFFFFFF"')
@example("%YAML 1." + "9" * 5000 + "\n---\n")
@example("%TAG ! !\n--- !a")
@example("&a &b c")
def test_no_text_is_too_odd(text: str) -> None:
    assert_told(text)


@given(YAML_TEXT)
@example('"\\ud800"')
def test_no_text_is_too_odd_inside_our_documents(text: str) -> None:
    for document in (
        PROVIDER_HEAD + "  " + text,
        provider(f"host: {text}"),
        match(f"headers: {text}"),
        rules(f"- backendRefs: {text}"),
    ):
        assert_told(document)


@settings(max_examples=25)
@given(VALUES)
def test_no_value_is_too_odd_for_any_field(value: object) -> None:
    # JSON is YAML, up to the escapes of characters beyond 16 bits.
    text = json.dumps(value)
    for name in ("host", "path", "configs", "tls", "endpoint", "workloadSelector"):
        assert_told(provider(f"host: a\n{name}: {text}"))
    for name in ("headers", "model", "attributes", "gateways", "sourceLabels"):
        assert_told(match(f"{name}: {text}"))


@given(st.text(alphabet="${}ABa \n", max_size=30), st.text(alphabet="${}AB", min_size=1))
def test_substitution_never_reads_its_own_result(text: str, value: str) -> None:
    replaced, faults = substitute(text, {"A": value, "B": value})
    if not faults and "${" not in text:
        assert replaced == text
    marked, _ = substitute(text, {"A": "\x00", "B": "\x00"})
    assert marked.replace("\x00", value) == replaced
