"""The rules, tested without a key and without a socket."""

from pathlib import Path

from llm_mesh_middleware.testing import assert_routed

MANIFEST = Path(__file__).with_name("mesh.yaml")
QUESTION = {"messages": [{"role": "user", "content": "Hello"}]}


def test_testers_get_the_canary(llm_mesh):
    client = llm_mesh(MANIFEST)
    answer = client.post("http://chat/", headers={"x-tester": "1"}, json=QUESTION)
    assert_routed(answer, provider="canary", rule="testers", model="moonshot-v1-8k")


def test_a_user_keeps_the_model_he_has_got(llm_mesh):
    client = llm_mesh(MANIFEST)
    for user in ("1", "2", "3"):
        ask = {"url": "http://chat/", "headers": {"x-user": user}, "json": QUESTION}
        models = {client.post(**ask).headers["x-llm-mesh-model"] for _ in range(9)}
        assert len(models) == 1
