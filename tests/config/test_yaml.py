"""What is read from YAML: documents, values, aliases, and what stops a reader."""

from __future__ import annotations

import pytest

from llm_mesh_middleware.config import LLMProvider
from tests.config.documents import config, only_problem, parse, provider
from tests.rows import rows

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 40)
)
OTHER_KIND = "apiVersion: v1\nkind: Secret\n"


def default_of(text: str) -> object:
    """What a YAML text in `defaults` becomes."""
    (resource,) = parse(config(f"defaults:\n  value: {text}")).resources
    assert isinstance(resource.model, LLMProvider)
    config_ = resource.model.spec.configs.default_config.open_ai_config
    assert config_ is not None
    return config_.defaults["value"]


def defaults_of(text: str) -> object:
    """What lines of YAML become as `defaults`."""
    lines = "".join(f"  {line}\n" for line in text.splitlines())
    (resource,) = parse(config(f"defaults:\n{lines}")).resources
    assert isinstance(resource.model, LLMProvider)
    config_ = resource.model.spec.configs.default_config.open_ai_config
    assert config_ is not None
    return config_.defaults


@rows(
    ("text", "value"),
    [
        ("a", "a"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("12:30", "12:30"),
        ("=", "="),
        ("1_000", 1000),
        ("-5", -5),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("0b101", 5),
        ("08", 8.0),
        ("0.2", 0.2),
        ("1e3", 1000.0),
        ("1e-1", 0.1),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("9" * 5000, "9" * 5000),
        ("true", True),
        ("no", False),
        ("~", None),
        ("", None),
        ("\ta\t# behind a tab", "a"),
        ("[\t1,\t[a],\t{b:\tnull}\t]\t", [1, ["a"], {"b": None}]),
        ("[1, [a], {b: null}]", [1, ["a"], {"b": None}]),
        ("|\n    two\n    lines", "two\nlines\n"),
    ],
)
def test_a_scalar_is_what_kubectl_takes_it_for(text: str, value: object) -> None:
    read = default_of(text)
    assert (type(read), read) == (type(value), value)


@rows("text", ["a:\n\t- b\n", "a:\n  b: c\n\td: e\n", "-\ta: b\n  c: d\n"])
def test_a_tab_does_not_indent(text: str) -> None:
    assert "found character '\\t'" in only_problem(parse(text)).message


def test_empty_documents_are_skipped() -> None:
    manifest = parse(f"---\n---\n# nothing\n---\n{provider('host: a')}---\n")
    assert (len(manifest.resources), manifest.problems) == (1, ())


@rows("text", ["", "\n", "# nothing", "---", "\ufeff"])
def test_a_text_without_documents_is_fine(text: str) -> None:
    assert parse(text).problems == ()


def test_a_byte_order_mark_moves_nothing() -> None:
    problem = only_problem(parse("\ufeff" + provider("host: a b")))
    assert (problem.line, problem.column) == (6, 9)


@rows(
    ("broken", "line", "column"),
    [
        ("a: [1", 9, 1),
        ("a: b: c", 8, 5),
        ("\ta: 1", 8, 1),
        ("a: 'b", 9, 1),
        ("a: \x00", 8, 4),
        ("a: \x1b", 8, 4),
        ("a: !x!y z", 8, 4),
        ('a: "\\U00110000"', 8, 7),
    ],
)
def test_what_stands_before_a_syntax_error_is_kept(broken: str, line: int, column: int) -> None:
    manifest = parse(f"{provider('host: a')}---\n{broken}\n")
    problem = only_problem(manifest)
    assert (problem.line, problem.column) == (line, column)
    assert "YAML" in problem.message
    assert [resource.name for resource in manifest.resources] == ["acme"]


@pytest.mark.slow
@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 50_000, "? " * 50_000])
def test_deep_nesting_is_a_problem_and_not_a_crash(text: str) -> None:
    problem = only_problem(parse(text))
    assert "nested more than 100 levels deep" in problem.message
    assert problem.line == 1


def test_an_alias_stands_for_its_anchor() -> None:
    text = config("model: &m qwen\nmodelMapping: {a: *m, b: *m}")
    (resource,) = parse(text).resources
    assert isinstance(resource.model, LLMProvider)
    openai = resource.model.spec.configs.default_config.open_ai_config
    assert openai is not None
    assert openai.model_mapping == {"a": "qwen", "b": "qwen"}


def test_a_fault_behind_an_alias_is_placed_at_the_alias() -> None:
    (first, second) = parse(config("model: &m 5\nmodelMapping: {a: *m}")).problems
    assert (first.line, first.column) == (10, 16)
    assert (second.line, second.column) == (11, 27)


def test_an_alias_bomb_is_refused_at_once() -> None:
    problem = only_problem(parse(config("defaults:\n  " + BOMB.replace("\n", "\n  "))))
    assert "more than 10,000 values" in problem.message
    # a0, a1 and a2 hold 11, 111 and 1,111 values: the eighth a2 in a3 is one too many.
    assert problem.field == "spec.configs.defaultConfig.openAIConfig.defaults.a3[7]"


def test_an_alias_inside_its_own_anchor_is_refused() -> None:
    assert "alias" in only_problem(parse(config("defaults: {a: &a [*a]}"))).message


@pytest.mark.slow
def test_a_long_document_without_aliases_is_no_bomb() -> None:
    entries = "".join(f"  key{n}: [1, 2, 3]\n" for n in range(3000))
    assert parse(config("defaults:\n" + entries)).problems == ()


@rows(
    "body",
    [
        "data: {a: '${MISSING}', a: 2}",
        "data: !binary x",
        "data: &a {b: 1}\nmore:\n  <<: *a",
        "1: 2",
        "data:\n  " + BOMB.replace("\n", "\n  "),
    ],
)
def test_other_kinds_may_be_what_they_like(body: str) -> None:
    manifest = parse(f"{OTHER_KIND}{body}\n---\n{provider('host: a')}")
    assert (len(manifest.resources), manifest.problems) == (1, ())


MERGES = {
    "a mapping": ("<<: {a: 1}", {"a": 1}),
    "an alias": ("e: &e {a: 1}\nf: {<<: *e, b: 2}", {"e": {"a": 1}, "f": {"a": 1, "b": 2}}),
    "keys beside it override": ("a: 1\n<<: {a: 2, b: 2}\nc: 3", {"a": 1, "b": 2, "c": 3}),
    "of a list the first overrides": ("<<: [{a: 1}, {a: 2, b: 2}]", {"a": 1, "b": 2}),
    "of two the first overrides": ("<<: {a: 1}\n<<: {a: 2, b: 2}", {"a": 1, "b": 2}),
    "in a merged mapping": ("<<: {<<: {a: 1}, b: 2}", {"a": 1, "b": 2}),
}


@rows("name", MERGES)
def test_a_merge_key_takes_over_the_keys_of_other_mappings(name: str) -> None:
    text, value = MERGES[name]
    assert defaults_of(text) == value


def test_a_fault_in_a_merged_mapping_is_placed_where_it_is_written() -> None:
    base = "host: a\nconfigs:\n  defaultConfig: {openAIConfig: {defaults: {base: &a {host: 5}}}}\n"
    problem = only_problem(parse(provider(base + "tls: {<<: *a}")))
    assert (problem.line, problem.field) == (8, "spec.tls.host")


MARK = "\ufeff"


@rows(
    "text",
    [
        MARK + provider("host: a") + "---\n" + provider("host: b"),
        provider("host: a") + "---\n" + MARK + provider("host: b"),
        provider("host: a") + MARK + "---\n" + provider("host: b"),
        MARK + provider("host: a") + "---  # next\n" + MARK + provider("host: b"),
    ],
)
def test_a_byte_order_mark_may_begin_any_document(text: str) -> None:
    manifest = parse(text)
    assert (len(manifest.resources), manifest.problems) == (2, ())


def test_other_kinds_must_be_yaml() -> None:
    assert "is not YAML" in only_problem(parse(f"{OTHER_KIND}data: [1")).message


def test_another_kind_of_the_mesh_is_ignored_with_a_warning() -> None:
    text = provider("host: a").replace("LLMProvider", "ASMLocalRateLimiter")
    problem = only_problem(parse(text))
    assert (problem.severity, problem.line, problem.field) == ("warning", 2, "kind")
