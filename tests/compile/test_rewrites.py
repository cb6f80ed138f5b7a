"""`InferenceModelRewrite` and `InferenceModel`: what models are rewritten to."""

from __future__ import annotations

import random
from collections import Counter

from llm_mesh_middleware._core.provider.servers.rewrites import ModelRewrites
from tests.compile.test_pools import PORTS, pool, to_pool
from tests.core.tables import compiled, table, upstream_of
from tests.rows import rows

X = "inference.networking.x-k8s.io/v1alpha2"
SERVED = pool(f"{PORTS}\n  endpoints: [10.0.0.1]")


def rewrite(rules: str, name: str = "one", ref: str = "qwen-pool", version: str = X) -> str:
    return (
        f"apiVersion: {version}\nkind: InferenceModelRewrite\nmetadata: {{name: {name}}}\n"
        f"spec:\n  poolRef: {{group: inference.networking.k8s.io, name: {ref}}}\n"
        f"  rules: {rules}\n"
    )


def model(spec: str) -> str:
    return (
        f"apiVersion: {X}\nkind: InferenceModel\nmetadata: {{name: chat}}\n"
        f"spec: {{criticality: Critical, poolRef: {{name: qwen-pool}}, {spec}}}\n"
    )


def exact(name: str, targets: str) -> str:
    return f"{{matches: [{{model: {{type: Exact, value: {name}}}}}], targets: [{targets}]}}"


def rewrites(*documents: str) -> ModelRewrites:
    found = upstream_of(table(SERVED, to_pool(), *documents)).rewrites
    assert found is not None
    return found


def draws(found: ModelRewrites, asked: str | None, times: int = 1_000) -> Counter[str | None]:
    chance = random.Random(3).random
    return Counter(found.draw(asked, chance) for _ in range(times))


@rows("version", [X, X.replace("alpha2", "alpha1"), "inference.networking.k8s.io/v1alpha2"])
def test_a_name_has_another_one(version: str) -> None:
    document = rewrite(f"[{exact('a', '{modelRewrite: a-v1}')}]", version=version)
    assert draws(rewrites(document), "a") == {"a-v1": 1_000}
    assert draws(rewrites(document), "b") == {None: 1_000}


def test_a_rule_without_matches_is_for_all_others() -> None:
    rules = (
        f"[{{matches: [], targets: [{{modelRewrite: base}}]}}, {exact('a', '{modelRewrite: v}')}]"
    )
    found = rewrites(rewrite(rules))
    assert [found.draw(asked, lambda: 0.0) for asked in ("a", "b", None)] == ["v", "base", "base"]


def test_weights_share_the_requests() -> None:
    targets = "{modelRewrite: v1, weight: 90}, {modelRewrite: v2, weight: 10}"
    drawn = draws(rewrites(rewrite(f"[{exact('a', targets)}]")), "a", 10_000)
    assert drawn["v1"] + drawn["v2"] == 10_000
    assert 800 < drawn["v2"] < 1_200


def test_without_weights_all_have_the_same_share() -> None:
    drawn = draws(rewrites(rewrite(f"[{exact('a', '{modelRewrite: v}, {modelRewrite: w}')}]")), "a")
    assert 400 < drawn["v"] < 600


def test_an_exact_match_of_any_document_goes_before_others_and_the_first_counts() -> None:
    found = rewrites(
        rewrite("[{targets: [{modelRewrite: base}]}]", "one"),
        rewrite(f"[{exact('a', '{modelRewrite: first}')}]", "two"),
        rewrite(f"[{exact('a', '{modelRewrite: second}')}]", "three"),
    )
    assert found.draw("a", lambda: 0.0) == "first"


def test_the_older_kind_means_the_same() -> None:
    targets = "targetModels: [{name: lora-v1, weight: 1}, {name: lora-v2, weight: 3}]"
    drawn = draws(rewrites(model(f"modelName: lora, {targets}")), "lora")
    assert 200 < drawn["lora-v1"] < 300
    plain = upstream_of(table(SERVED, to_pool(), model("modelName: lora")))
    assert plain.rewrites is None


def test_a_model_of_the_backend_goes_before_rewrites() -> None:
    document = rewrite("[{targets: [{modelRewrite: base}]}]")
    upstream = upstream_of(table(SERVED, to_pool(more=", model: fixed"), document))
    assert upstream.rewritten("a", lambda: 0.0).model == "fixed"


def test_the_names_are_known_to_metrics() -> None:
    found = table(SERVED, to_pool(), rewrite(f"[{exact('a', '{modelRewrite: a-v1}')}]"))
    assert {"a", "a-v1"} <= found.models


@rows(
    ("document", "field", "words"),
    [
        (
            rewrite(f"[{exact('a', '{modelRewrite: v, weight: 1}, {modelRewrite: w}')}]"),
            "spec.rules[0].targets[1]",
            "must have a weight",
        ),
        (rewrite("[{targets: []}]"), "spec.rules[0].targets", "at least 1"),
        (rewrite(f"[{exact('a', '{weight: 1}')}]"), "spec.rules[0].targets[0]", "modelRewrite"),
        (rewrite(f"[{exact('a', '{modelRewrite: v}')}]", version="a/v1"), "apiVersion", "must be"),
    ],
)
def test_a_faulty_document_is_a_problem_with_its_place(
    document: str, field: str, words: str
) -> None:
    result = compiled(SERVED, to_pool(), document)
    assert result.table is None
    assert result.problems[0].field.startswith(field)
    assert words in str(result.problems[0])


def test_a_pool_that_is_not_there_is_a_warning() -> None:
    document = rewrite("[{targets: [{modelRewrite: base}]}]", ref="nowhere")
    (problem,) = compiled(SERVED, to_pool(), document).problems
    assert problem.severity == "warning"
    assert "no InferencePool is named default/nowhere" in problem.message
