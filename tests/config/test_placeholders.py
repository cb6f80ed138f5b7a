"""`${NAME}` in values."""

from __future__ import annotations

from llm_mesh_middleware.config import LLMProvider
from tests.config.documents import config, only_problem, parse, provider
from tests.rows import rows

ENVIRON = {"A": "one", "B_2": "two", "C": "${A}", "YAML": "x\n  evil: [*y, !z", "EMPTY": ""}


def model_of(text: str) -> str | None:
    (resource,) = parse(config(f"model: {text}"), ENVIRON).resources
    assert isinstance(resource.model, LLMProvider)
    openai = resource.model.spec.configs.default_config.open_ai_config
    assert openai is not None
    return openai.model


@rows(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("'${A}'", "one"),
        ("pre-${A}-${B_2}-post", "pre-one-two-post"),
        ("${C}", "${A}"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $ {A} $$", "$A $ {A} $$"),
        ("$${not a name", "${not a name"),
    ],
)
def test_a_placeholder_is_replaced_once(text: str, value: str) -> None:
    assert model_of(text) == value


def test_a_value_from_the_environment_is_never_yaml() -> None:
    problem = only_problem(parse(config("model: ${YAML}"), ENVIRON))
    assert "control character" in problem.message


def test_a_value_from_the_environment_stays_a_string() -> None:
    problem = only_problem(parse(config("stream: ${B}"), {"B": "true"}))
    assert problem.message == "must be true or false, got the string '${B}'"


def test_keys_are_left_alone() -> None:
    (resource,) = parse(config("modelMapping: {'${MISSING}': a}")).resources
    assert isinstance(resource.model, LLMProvider)


def test_every_missing_variable_is_named() -> None:
    problems = parse(config("model: ${X}${EMPTY}\napiKey: ${Y}"), ENVIRON).problems
    assert [(p.line, p.message) for p in problems] == [
        (10, "environment variable X is not set"),
        (10, "environment variable EMPTY is empty"),
        (11, "environment variable Y is not set"),
    ]


def test_ignored_parts_of_a_document_need_no_variables() -> None:
    text = provider("host: a").replace(
        "  name: acme", "  name: acme\n  annotations: {last: '${MISSING}'}"
    )
    manifest = parse(text + "status: {a: '${MISSING}'}\n")
    assert (len(manifest.resources), manifest.problems) == (1, ())


@rows("end", ["\n", "\r\n", "\n\n"])
def test_line_breaks_at_the_end_of_a_variable_are_dropped(end: str) -> None:
    (resource,) = parse(config("model: a ${B} c"), {"B": f"b{end}"}).resources
    assert isinstance(resource.model, LLMProvider)
    options = resource.model.spec.configs.default_config.open_ai_config
    assert options is not None
    assert options.model == "a b c"


def test_a_variable_of_line_breaks_alone_is_empty() -> None:
    problem = only_problem(parse(config("model: ${B}"), {"B": "\n"}))
    assert problem.message == "environment variable B is empty"
