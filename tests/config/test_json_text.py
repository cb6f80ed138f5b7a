"""Manifests in JSON, as kubectl and other tools write them."""

from __future__ import annotations

import json

import pytest

from llm_mesh_middleware._manifest import parse_object
from llm_mesh_middleware.config import LLMProvider
from tests.config.documents import only_problem, parse, provider
from tests.rows import rows

VALUE = {
    "apiVersion": "istio.alibabacloud.com/v1",
    "kind": "LLMProvider",
    "metadata": {"name": "acme", "labels": {"a/b": "\u00e9"}},
    "spec": {
        "host": "acme.example",
        "path": "/v1/chat/completions",
        "maxConcurrency": 5,
        "configs": {
            "defaultConfig": {
                "openAIConfig": {
                    "model": "m",
                    "stream": None,
                    "defaults": {"a": [1, -2.5e3, True, None, {}, []], "t": "\U0001f600 \\ / \t"},
                }
            }
        },
    },
}
TEXTS = {
    "compact": json.dumps(VALUE, separators=(",", ":")),
    "spaces": json.dumps(VALUE, indent=2, ensure_ascii=False),
    "tabs": json.dumps(VALUE, indent="\t"),
    "carriage returns": json.dumps(VALUE, indent="\t").replace("\n", "\r\n"),
    "escaped slashes": json.dumps(VALUE).replace("/", "\\/"),
    "a byte order mark": "\ufeff" + json.dumps(VALUE, indent="\t"),
    "a list": json.dumps({"apiVersion": "v1", "kind": "List", "items": [VALUE]}, indent="\t"),
}


@rows("name", TEXTS)
def test_json_is_read_as_it_is_written(name: str) -> None:
    wanted = parse_object(VALUE, source="mesh.json", environ={})
    manifest = parse(TEXTS[name])
    assert (manifest.resources, manifest.problems) == (wanted.resources, ())


@rows("between", ["", "\n", "\t \r\n", "\n---\n"])
def test_objects_may_follow_one_another(between: str) -> None:
    manifest = parse(between.join([TEXTS["compact"]] * 3))
    assert (len(manifest.resources), manifest.problems) == (3, ())


@rows(
    ("old", "new", "line", "column", "field", "message"),
    [
        ('"host"', '"hots"', 11, 3, "spec.hots", "did you mean"),
        ('"acme.example"', '"a/b"', 11, 11, "spec.host", "must be"),
        ('"maxConcurrency": 5', '"maxConcurrency": "5"', 13, 21, "spec.maxConcurrency", "number"),
        ('"path"', '"host"', 12, 3, "spec.host", "the key is given twice: in line 11"),
        ("5,", "5", 14, 3, "", "a , or } is missing here"),
        ('"kind":', '"kind"', 3, 9, "", "a : is missing here"),
        ('"kind"', "@kind", 3, 2, "", 'a key in " is missing here'),
        ('"acme.example"', '"acme.example', 11, 11, "", "this string is broken"),
        ("5,", "@5,", 13, 21, "", "a value is missing here"),
    ],
)
def test_a_fault_has_its_place(
    old: str, new: str, line: int, column: int, field: str, message: str
) -> None:
    problems = parse(TEXTS["tabs"].replace(old, new, 1)).problems
    (problem,) = [problem for problem in problems if message in problem.message]
    assert (problem.line, problem.column, problem.field) == (line, column, field)


def test_a_cut_text_is_a_problem_wherever_it_is_cut() -> None:
    text = TEXTS["tabs"]
    for end in range(len('{"'), len(text)):
        assert parse(text[:end]).problems, text[:end]


def test_a_flow_mapping_of_yaml_may_begin_like_json() -> None:
    manifest = parse(
        '{"apiVersion": istio.alibabacloud.com/v1, kind: LLMProvider,\n'
        " metadata: {name: a}, spec: {host: a.example}}\n---\n" + provider("host: b")
    )
    assert (len(manifest.resources), manifest.problems) == (2, ())


@pytest.mark.parametrize("text", ['{"a": ' * 50_000, '{"a": [' + "[" * 50_000])
def test_deep_nesting_is_a_problem_and_not_a_crash(text: str) -> None:
    assert "nested more than 100 levels deep" in only_problem(parse(text)).message


def test_a_long_number_is_kept_as_text() -> None:
    value = json.loads(TEXTS["compact"])
    value["spec"]["configs"]["defaultConfig"]["openAIConfig"]["defaults"] = {"n": "LONG"}
    (resource,) = parse(json.dumps(value).replace('"LONG"', "9" * 5000)).resources
    assert isinstance(resource.model, LLMProvider)
