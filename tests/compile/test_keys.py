"""Where keys come from, what is no key, and that none is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_mesh_middleware._auth.static_key import bearer_token
from llm_mesh_middleware._dialects.openai_chat import CHAT
from llm_mesh_middleware._manifest import Secret
from llm_mesh_middleware.exceptions import Problem
from tests.canaries import canary
from tests.core.scripted import ANSWER, JSON, answers, play, sent
from tests.core.tables import (
    ACME,
    compiled,
    only_endpoint,
    provider,
    request,
    route,
    select,
    table,
    upstream_of,
    virtual_host,
)
from tests.rows import rows

CANARY = canary("keys")
PLACE = "spec.configs.defaultConfig.openAIConfig.apiKeyFrom"


def authorization(openai: str, **environ: str) -> bytes | None:
    made = sent(table(provider(openai=openai), environ=environ), request(), host=ACME)
    found = [value for name, value in made.headers if name == b"authorization"]
    assert len(found) <= 1
    return found[0] if found else None


def from_file(path: Path) -> str:
    return f"{{apiKeyFrom: {{file: {str(path)!r}}}}}"


def only_problem(openai: str, **environ: str) -> Problem:
    result = compiled(provider(openai=openai), environ=environ)
    assert result.table is None
    (problem,) = result.problems
    assert CANARY not in repr(result)
    return problem


@rows(
    ("openai", "environ"),
    [
        (f"{{apiKey: {CANARY}}}", {}),
        ("{apiKey: '${KEY}'}", {"KEY": CANARY}),
        ("{apiKeyFrom: {env: KEY}}", {"KEY": CANARY}),
        ("{apiKeyFrom: {env: KEY}}", {"KEY": f" {CANARY}\n"}),
    ],
)
def test_a_key_is_sent_as_a_bearer_token(openai: str, environ: dict[str, str]) -> None:
    assert authorization(openai, **environ) == f"Bearer {CANARY}".encode()


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", " \n\n"])
def test_a_key_file_may_end_with_a_line_break(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "key"
    path.write_bytes((CANARY + ending).encode())
    assert authorization(from_file(path)) == f"Bearer {CANARY}".encode()


def test_without_a_key_none_is_sent() -> None:
    assert authorization("{}") is None


@rows("environ", [{}, {"KEY": ""}, {"KEY": " \n"}, {"key": CANARY}])
def test_a_variable_without_a_key_is_refused_by_its_name(environ: dict[str, str]) -> None:
    problem = only_problem("{apiKeyFrom: {env: KEY}}", **environ)
    assert (problem.field, problem.message) == (f"{PLACE}.env", "$KEY is missing or empty")
    assert problem.line > 0


NO_KEYS = [
    f"{CANARY}\r\nx-evil: 1",
    f"{CANARY}\nsecond line",
    f"{CANARY}\rx",
    f"{CANARY}\x00",
    f"a\tb{CANARY}",
    f"{CANARY}é",
    f"\ufeff{CANARY}",
    f"密{CANARY}",
]


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_cannot_be_a_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(text.encode())
    for openai, field in (("{apiKeyFrom: {env: KEY}}", "env"), (from_file(path), "file")):
        problem = only_problem(openai, KEY=text)
        assert problem.field == f"{PLACE}.{field}"
        assert "does not hold a key" in problem.message
        assert CANARY not in str(problem)


def test_a_file_without_a_key_is_refused_by_its_name(tmp_path: Path) -> None:
    empty, blank, missing = (tmp_path / name for name in ("empty", "blank", "missing"))
    empty.touch()
    blank.write_text(" \n\n")
    for path, words in (
        (empty, "is missing or empty"),
        (blank, "is missing or empty"),
        (missing, "No such file"),
        (tmp_path, "Is a directory"),
    ):
        problem = only_problem(from_file(path))
        assert problem.field == f"{PLACE}.file"
        assert str(path) in problem.message
        assert words in problem.message


SECRET_KEY_REF = "{apiKeyFrom: {secretKeyRef: {name: keys, key: token}}}"


def test_a_secret_key_ref_is_refused_without_a_cluster() -> None:
    problem = only_problem(SECRET_KEY_REF)
    assert problem.field == f"{PLACE}.secretKeyRef"
    assert problem.message.startswith("needs KubernetesSource")


def test_a_key_is_read_from_the_secret_of_the_documents_namespace() -> None:
    secrets = {
        ("default", "keys"): Secret({"token": b"of-another"}),
        ("team", "keys"): Secret({"token": f"{CANARY}\n".encode()}),
    }
    result = compiled(provider(openai=SECRET_KEY_REF, namespace="team"), secrets=secrets)
    assert result.table is not None
    (upstream,) = (
        backend.upstream
        for host in result.table.hosts
        for rule in host.rules
        for backend in rule.backends
    )
    assert bearer_token(CANARY) in upstream.credentials.values()


@rows(
    ("secrets", "field", "message"),
    [
        ({}, "name", "Secret default/keys does not exist"),
        ({"keys": Secret(fault="may not be read")}, "name", "Secret default/keys may not be read"),
        ({"keys": Secret({"other": b"x"})}, "key", "Secret default/keys has no key 'token'"),
        ({"keys": Secret({"token": b" "})}, "key", "key 'token' of Secret default/keys is missing"),
        ({"keys": Secret({"token": CANARY.encode() + b"\0"})}, "key", "does not hold a key"),
    ],
)
def test_a_secret_without_a_usable_key_is_told_by_name(
    secrets: dict[str, Secret], field: str, message: str
) -> None:
    found = {("default", name): secret for name, secret in secrets.items()}
    result = compiled(provider(openai=SECRET_KEY_REF), secrets=found)
    (problem,) = result.problems

    assert problem.field == f"{PLACE}.secretKeyRef.{field}"
    assert message in problem.message
    assert CANARY not in repr((found, result))


def test_the_key_of_a_specific_configuration_is_named_by_its_place() -> None:
    documents = (
        provider(specific="{vip: {openAIConfig: {apiKeyFrom: {env: KEY}}}}"),
        route(f"- {{name: vip, backendRefs: [{{providerHost: {ACME}}}]}}"),
    )
    (problem,) = compiled(*documents).problems
    assert problem.field == "spec.configs.routeSpecificConfigs.vip.openAIConfig.apiKeyFrom.env"


def test_no_key_is_shown_by_anything_that_is_made_of_it() -> None:
    openai = f"{{apiKey: {CANARY}, headers: {{x-token: h-{CANARY}}}}}"
    specific = f"{{vip: {{openAIConfig: {{model: m, apiKey: v-{CANARY}}}}}}}"
    rules = f"- {{name: vip, backendRefs: [{{providerHost: {ACME}}}]}}"
    documents = (provider(openai=openai, specific=specific), route(rules))
    result, routes = compiled(*documents), table(*documents)
    asked = request(f"authorization: Bearer {CANARY}", body=f'{{"messages": "{CANARY}"}}')
    host, upstream = virtual_host(routes), upstream_of(routes)
    performed = play(routes, asked, *answers(200, ANSWER, JSON))
    assert f"Bearer v-{CANARY}".encode() in dict(performed.sent.headers).values()
    things = (
        *(result, result.table, result.problems, routes, routes.hosts, host, host.rules),
        *(host.rules[0].backends, host.rules[0].backends.tiers, upstream, only_endpoint(upstream)),
        *(upstream.targets[CHAT], select(routes, request()), asked, asked.headers),
        *(performed.sent, performed.taken, performed.reply),
    )
    for thing in things:
        assert "Canary9L" not in repr(thing)
        assert "Canary9L" not in str(thing)


def test_no_key_is_shown_by_the_problems_of_its_provider() -> None:
    result = compiled(
        provider(name="one", openai=f"{{apiKey: {CANARY}, modle: m}}"),
        provider(name="two", openai=f"{{apiKey: [{CANARY}]}}"),
        provider(name="three", openai=f'{{apiKey: "{CANARY}\\r\\nx: y"}}'),
        provider(name="four", openai=f"{{apiKey: {CANARY}, apiKeyFrom: {{env: KEY}}}}"),
        provider(name="five", openai=f"{{apiKey: {CANARY}}}"),
        provider(name="six", openai=f"{{apiKey: {CANARY}}}"),
        environ={"KEY": CANARY},
    )
    assert result.table is None
    assert len(result.problems) == 5
    assert "Canary9L" not in repr(result)
    assert "Canary9L" not in "\n".join(map(str, result.problems))


@rows(("value", "is_secret"), [("abcdefg", False), ("abcdefgh", True), ("abcdefghi", True)])
def test_a_configured_value_of_eight_characters_is_long_enough_to_be_a_secret(
    value: str, is_secret: bool
) -> None:
    upstream = upstream_of(table(provider(openai=f"{{headers: {{x-token: {value}}}}}")), ACME)
    redacted = upstream.secrets.redact(f"it says {value}".encode())
    assert (value.encode() in redacted) is not is_secret


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
def test_a_device_is_not_read_for_ever(device: str) -> None:
    problem = only_problem(from_file(Path(device)))
    assert problem.field == f"{PLACE}.file"
    assert problem.message == f"cannot read {device}: it is longer than 65,536 bytes"


def test_a_long_file_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("a" * 65_537)
    assert "it is longer than 65,536 bytes" in only_problem(from_file(path)).message
