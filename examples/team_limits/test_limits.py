"""The limits and the budget, tested without a key and without a socket."""

from pathlib import Path

from llm_mesh_middleware.testing import Answer, assert_limited, assert_routed, chat_completion

MANIFEST = Path(__file__).with_name("mesh.yaml")
QUESTION = {"url": "http://chat/", "json": {"messages": [{"role": "user", "content": "Hello"}]}}


def test_a_team_may_ask_three_times_a_minute(llm_mesh):
    client = llm_mesh(MANIFEST)
    with client.mesh.attributes(team="sales"):
        for _ in range(3):
            assert client.post(**QUESTION).status_code == 200
        assert_limited(client.post(**QUESTION), "burst")
        assert client.left("teams/burst", team="sales") == 0
    with client.mesh.attributes(team="support"):
        assert client.post(**QUESTION).status_code == 200
        client.pass_time(60)
        assert client.left("teams/burst", team="support") == 3


def test_a_team_whose_month_is_spent_gets_the_small_model(llm_mesh, llm_upstream):
    usage = {"prompt_tokens": 100, "completion_tokens": 200, "total_tokens": 300}
    llm_upstream.always(Answer(body=chat_completion("Hello", usage=usage)))
    client = llm_mesh(MANIFEST)
    with client.mesh.attributes(team="sales"):
        assert_routed(client.post(**QUESTION), provider="large")
        assert client.left("teams/month", team="sales") < 0
        assert_routed(client.post(**QUESTION), provider="small")
