"""`llm-mesh cache evaluate`: rates on labelled pairs, with vectors of a real provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llm_mesh_middleware.cli import main
from llm_mesh_middleware.testing import Answer, FakeUpstream, error_body
from tests.canaries import canary
from tests.semantic.provider import MODEL, embed

pytest.importorskip("numpy", reason="the extra semantic is not installed")

PAIRS: list[tuple[str, str, bool]] = [
    ("What is a service mesh?", "what's a service mesh", True),
    ("Tell me what a mesh is", "what is a mesh", True),
    ("Why is the sky blue?", "Grass, please", True),
    ("How do I turn the light on?", "How do I turn the light off?", False),
    ("Convert 100 USD to EUR", "Convert 100 EUR to USD", False),
    ("my cat is ill", "my bat is ill", False),
    ("What is rain?", "Who makes cheese?", False),
]


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=canary("vectors")) as upstream:
        yield upstream


@pytest.fixture
def manifest(tmp_path: Path, upstream: FakeUpstream) -> Path:
    upstream.clear()
    upstream.always(embed)
    path = tmp_path / "mesh.yaml"
    path.write_text(f"""\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata: {{name: vectors}}
spec:
  host: vectors.example
  endpoint: {upstream.url}
  configs: {{defaultConfig: {{openAIConfig: {{apiKey: {canary("vectors")}}}}}}}
---
apiVersion: llm-mesh.dev/v1alpha1
kind: LLMPolicy
metadata: {{name: team}}
spec:
  cache:
    vary: []
    semantic:
      embedding: {{providerHost: vectors.example, model: {MODEL}}}
      threshold: 0.72
""")
    return path


def written(folder: Path, *pairs: tuple[str, str, bool]) -> Path:
    path = folder / "pairs.jsonl"
    lines = [json.dumps({"a": a, "b": b, "same": same}) for a, b, same in pairs]
    path.write_text("\n".join(lines) + "\n\n")
    return path


def run(manifest: Path, pairs: Path, *options: str) -> Result:
    return CliRunner().invoke(
        main, ["cache", "evaluate", str(pairs), "--config", str(manifest), *options]
    )


def test_hits_and_false_hits_are_counted_at_each_threshold(
    manifest: Path, tmp_path: Path, upstream: FakeUpstream
) -> None:
    result = run(manifest, written(tmp_path, *PAIRS), "--json")
    told: dict[str, Any] = json.loads(result.stdout)

    assert result.exit_code == 0
    assert (told["policy"], told["model"], told["threshold"]) == ("default/team", MODEL, 0.72)
    assert (told["same"], told["different"]) == (3, 4)
    rates = {each["threshold"]: each for each in told["thresholds"]}
    assert rates[0.72] == {
        "threshold": 0.72,
        "hits": 2,
        "hitRate": 2 / 3,
        "falseHits": 1,
        "falseHitRate": 0.25,
        "falseHitsByVectorsAlone": 3,
    }
    assert (rates[0.99]["hits"], rates[0.99]["falseHits"]) == (0, 0)
    assert rates[0.99]["falseHitsByVectorsAlone"] == 1  # the order of USD and EUR
    (wrong,) = told["falseHits"]
    assert (wrong["a"], wrong["b"]) == ("my cat is ill", "my bat is ill")
    assert upstream.requests[0].header("authorization") == f"Bearer {canary('vectors')}"


def test_people_get_a_table(manifest: Path, tmp_path: Path) -> None:
    result = run(manifest, written(tmp_path, *PAIRS), "--policy", "team")
    lines = result.stdout.splitlines()

    assert result.exit_code == 0
    assert lines[0] == "default/team: letters of vectors.example"
    assert lines[1] == "7 pairs: 3 mean the same, 4 do not"
    assert "0.72       2 of 3 (66.7 %)    1 of 4 (25.0 %)    3 of 4 (75.0 %) *" in lines
    assert any(line.startswith("false hit 0.") and "'my bat is ill'" in line for line in lines)


def test_many_texts_are_asked_for_in_several_requests(
    manifest: Path, tmp_path: Path, upstream: FakeUpstream
) -> None:
    pairs = written(tmp_path, *[(f"text {n}", "text 0", n == 0) for n in range(40)])

    assert run(manifest, pairs).exit_code == 0
    assert [len(each.json()["input"]) for each in upstream.requests] == [32, 8]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "pairs.jsonl:2:1:"),
        ('{"a": "x", "b": "y"}', "missing required field `same`"),
        ('{"a": "x", "b": "y", "same": "yes"}', "Expected `bool`"),
        ('{"a": "x", "b": "y", "same": true, "note": 1}', "unknown field `note`"),
    ],
)
def test_a_line_that_is_no_pair_is_named(
    manifest: Path, tmp_path: Path, line: str, message: str
) -> None:
    path = written(tmp_path, PAIRS[0])
    path.write_text(path.read_text().replace("\n\n", f"\n{line}\n"))
    result = run(manifest, path)

    assert result.exit_code == 1
    assert "pairs.jsonl:2:1: must be" in result.stderr
    assert message in result.stderr


def test_a_file_that_cannot_be_used_is_named(manifest: Path, tmp_path: Path) -> None:
    assert "missing.jsonl: cannot be read" in run(manifest, tmp_path / "missing.jsonl").stderr
    assert "pairs.jsonl: has no pairs" in run(manifest, written(tmp_path)).stderr


def test_a_provider_that_refuses_is_named_without_its_key(
    manifest: Path, tmp_path: Path, upstream: FakeUpstream
) -> None:
    upstream.always(Answer(401, body=error_body(f"no such key: {canary('vectors')}")))
    result = run(manifest, written(tmp_path, *PAIRS))

    assert result.exit_code == 1
    assert "no vectors from vectors.example: 401" in result.stderr
    assert canary("vectors") not in result.output


def test_the_policy_must_be_there(manifest: Path, tmp_path: Path) -> None:
    result = run(manifest, written(tmp_path, *PAIRS), "--policy", "other")

    assert result.exit_code == 2
    assert "no LLMPolicy other with cache.semantic" in result.stderr
