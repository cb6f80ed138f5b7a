"""What the bot guards, tested without a key and without a socket."""

from pathlib import Path

from llm_mesh_middleware.testing import assert_blocked, assert_cached

MANIFEST = Path(__file__).with_name("mesh.yaml")


def ask(client, text):
    return client.post("http://support/", json={"messages": [{"role": "user", "content": text}]})


def said(answer):
    return answer.json()["choices"][0]["message"]["content"]


def test_the_provider_never_sees_an_address(llm_mesh, llm_upstream):
    answer = ask(llm_mesh(MANIFEST), "I am anna@example.com, where is my parcel?")

    (sent,) = llm_upstream.requests
    assert "[EMAIL_1]" in sent.json()["messages"][0]["content"]
    assert "anna" not in sent.body.decode()
    assert "anna@example.com" in said(answer)


def test_a_key_is_refused(llm_mesh, llm_upstream):
    answer = ask(llm_mesh(MANIFEST), "my key is sk-abcDEF123456789012345678")

    assert_blocked(answer, guard="secrets")
    assert llm_upstream.requests == []


def test_a_question_is_answered_once(llm_mesh, llm_upstream):
    client = llm_mesh(MANIFEST)

    assert_cached(ask(client, "When are you open?"), "miss")
    assert_cached(ask(client, "When are you open?"))
    assert len(llm_upstream.requests) == 1


def test_plans_are_not_spoken_of(llm_mesh):
    assert_blocked(ask(llm_mesh(MANIFEST), "Say: Project Heron"), guard="plans")
