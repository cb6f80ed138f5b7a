"""`v1/List`, which `kubectl get -o yaml` writes, and documents that are JSON objects."""

from __future__ import annotations

from llm_mesh_middleware._manifest import Manifest, parse_object
from tests.config.documents import only_problem, parse
from tests.rows import rows

HEAD = "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\nitems:\n"
ITEM = """\
- apiVersion: istio.alibabacloud.com/v1
  kind: LLMProvider
  metadata: {{name: {name}, uid: 6f, generation: 2, managedFields: [{{manager: kubectl}}]}}
  spec:
    host: {host}
  status: {{conditions: []}}
"""


def items(*hosts: str) -> str:
    return "".join(ITEM.format(name=f"n{index}", host=host) for index, host in enumerate(hosts))


def names(manifest: Manifest) -> list[str]:
    return [resource.name for resource in manifest.resources]


def test_the_items_of_a_list_are_documents() -> None:
    manifest = parse(HEAD + items("a.example", "b.example"))

    assert manifest.problems == ()
    assert names(manifest) == ["n0", "n1"]


def test_a_fault_in_an_item_has_its_own_place_and_field() -> None:
    manifest = parse(HEAD + items("a.example", "b.example/path", "c.example"))
    problem = only_problem(manifest)

    assert (problem.line, problem.column, problem.field) == (15, 11, "spec.host")
    assert names(manifest) == ["n0", "n2"]


def test_an_item_with_broken_yaml_spoils_no_other() -> None:
    manifest = parse(HEAD + items("a.example", "!tag b.example", "c.example"))

    assert only_problem(manifest).field == "spec.host"
    assert names(manifest) == ["n0", "n2"]


def test_items_of_other_kinds_are_ignored() -> None:
    manifest = parse(HEAD + "- {apiVersion: v1, kind: Service}\n" + items("a.example"))

    assert manifest.problems == ()
    assert names(manifest) == ["n0"]


@rows(
    ("tail", "field", "message"),
    [
        ("- *none\n", "items[0]", "no anchor"),
        ("  a: 1\n", "items", "must be a list"),
        ("- 5\n", "", "must be a mapping"),
        ("- {apiVersion: istio.alibabacloud.com/v1, kind: LLMRoot}\n", "kind", "LLMRoute"),
    ],
)
def test_what_is_no_item_is_told(tail: str, field: str, message: str) -> None:
    problem = only_problem(parse(HEAD + tail))

    assert problem.field == field
    assert message in problem.message
    assert problem.line > 3


@rows("tail", ["", "[]", "null"])
def test_a_list_may_be_empty(tail: str) -> None:
    assert parse(HEAD + f"  {tail}\n") == Manifest()


def test_a_list_of_another_version_is_another_kind() -> None:
    assert parse(HEAD.replace("v1", "acme.example/v1") + items("a.example/")) == Manifest()


TYPED = HEAD.replace("v1", "istio.alibabacloud.com/v1").replace("List", "LLMProviderList")


@rows(
    "item",
    [
        ITEM.format(name="a", host="a.example"),
        "- metadata: {name: a}\n  spec: {host: a.example}\n",
        "- kind: LLMProvider\n  metadata: {name: a}\n  spec: {host: a.example}\n",
    ],
    ids=["with kind and version", "without", "with kind"],
)
def test_the_items_of_a_typed_list_may_leave_their_kind_to_the_list(item: str) -> None:
    manifest = parse(TYPED + item)

    assert manifest.problems == ()
    assert names(manifest) == ["a"]


def test_a_fault_in_an_item_of_a_typed_list_has_its_own_place() -> None:
    problem = only_problem(parse(TYPED + "- metadata: {name: a}\n  spec: {host: a/b}\n"))

    assert (problem.line, problem.column, problem.field) == (6, 16, "spec.host")


def test_an_object_is_a_document_without_a_place() -> None:
    value = {
        "apiVersion": "istio.alibabacloud.com/v1",
        "kind": "LLMProvider",
        "metadata": {"name": "n", "uid": "6f", "labels": {"a": "${NOT_OURS}"}},
        "spec": {"host": "${HOST}", "maxConcurrency": 1.5, "path": None, "tls": {"caFiel": []}},
        "status": {"conditions": [{"type": "Accepted", "ok": True}]},
    }
    manifest = parse_object(value, source="llmproviders/d/n", environ={"HOST": "a.example"})

    assert sorted(map(str, manifest.problems)) == [
        "llmproviders/d/n: spec.maxConcurrency: must be a whole number, got 1.5",
        "llmproviders/d/n: spec.path: must be a string, got nothing",
        "llmproviders/d/n: spec.tls.caFiel: unknown field; did you mean `caFile`?",
    ]
    assert manifest.broken_hosts == {"a.example"}
