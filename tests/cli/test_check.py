"""`llm-mesh check`: real connections to providers, and plain words for each failure."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llm_mesh_middleware.cli.main import main
from llm_mesh_middleware.testing import Answer, CertificateAuthority, FakeUpstream, Raw, error_body
from tests.canaries import canary, leaks

HOST = "one.example"
KEY = canary("check")

MANIFEST = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata: {{name: one}}
spec:
  host: one.example
  endpoint: {endpoint}
  path: {path}
  configs:
    defaultConfig:
      openAIConfig:
        model: {model}
        apiKeyFrom: {{env: ONE_KEY}}
"""


@pytest.fixture(scope="module")
def upstream(ca: CertificateAuthority) -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=HOST, ca=ca, api_key=KEY, models=("m-large", "m")) as upstream:
        yield upstream


class Check:
    """Runs the command on one provider."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, ca_file: str) -> None:
        self.file = folder / "one.yaml"
        self.environ = monkeypatch
        monkeypatch.setenv("ONE_KEY", KEY)
        monkeypatch.setenv("LLM_MESH_CA_FILE", ca_file)

    def __call__(
        self,
        endpoint: str,
        *options: str,
        path: str = "/v1/chat/completions",
        model: str | None = "m",
    ) -> Result:
        text = MANIFEST.format(endpoint=endpoint, path=path, model=model)
        if model is None:
            text = text.replace("        model: None\n", "")
        self.file.write_text(text)
        result = CliRunner().invoke(main, ["check", "--config", str(self.file), *options])
        assert not leaks(result.output)
        return result


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ca_file: str, upstream: FakeUpstream
) -> Check:
    upstream.clear()
    return Check(tmp_path, monkeypatch, ca_file)


def stages(result: Result) -> dict[str, str]:
    """The state of each stage."""
    lines = [line.split() for line in result.stdout.splitlines() if line.startswith("  ")]
    return {stage: state for state, stage, *_ in lines}


GOOD = {"dns": "ok", "tcp": "ok", "tls": "ok", "key": "ok", "model": "ok"}


def test_a_good_provider_passes_every_stage(check: Check, upstream: FakeUpstream) -> None:
    result = check(upstream.url)

    assert (stages(result), result.exit_code) == (GOOD, 0)
    assert [(each.method, each.path) for each in upstream.requests] == [("GET", "/v1/models")]


def test_with_send_a_first_token_is_measured(check: Check, upstream: FakeUpstream) -> None:
    result = check(upstream.url, "--send")

    assert (stages(result), result.exit_code) == ({**GOOD, "send": "ok"}, 0)
    assert "m: first token (" in result.stdout
    sent = upstream.requests[-1].json()
    assert (sent["model"], sent["stream"]) == ("m", True)


def test_json_has_the_same_stages(check: Check, upstream: FakeUpstream) -> None:
    result = check(upstream.url, "--json")

    (provider,) = json.loads(result.stdout)
    assert (provider["provider"], provider["host"], provider["model"]) == ("one", HOST, "m")
    assert {each["stage"]: each["state"] for each in provider["stages"]} == GOOD


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "the provider refuses the key: 401 no such key"),
        (403, "the provider refuses the key: 403 no such key"),
        (500, "the provider fails: 500 no such key"),
    ],
)
def test_a_refusal_of_the_list_of_models_is_shown(
    check: Check, upstream: FakeUpstream, status: int, words: str
) -> None:
    upstream.script(Answer(status, body=error_body("no such\nkey")))

    result = check(upstream.url, "--send")

    assert (stages(result)["key"], result.exit_code) == ("failed", 1)
    assert words in result.stdout
    assert len(upstream.requests) == 1


def test_a_wrong_key_fails(check: Check, upstream: FakeUpstream) -> None:
    check.environ.setenv("ONE_KEY", canary("wrong"))

    result = check(upstream.url)

    assert (stages(result)["key"], result.exit_code) == ("failed", 1)
    assert "401 Incorrect API key provided." in result.stdout


def test_a_key_that_the_provider_repeats_is_not_printed(
    check: Check, upstream: FakeUpstream
) -> None:
    upstream.script(Answer(401, body=error_body(f"bad key {KEY}")))

    assert KEY[:12] not in check(upstream.url).output


def test_a_provider_without_a_list_of_models_is_left_to_send(
    check: Check, upstream: FakeUpstream
) -> None:
    upstream.script(Answer(404))

    result = check(upstream.url, "--send")

    assert stages(result) == {"dns": "ok", "tcp": "ok", "tls": "ok", "key": "skipped", "send": "ok"}
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("model", "advice"), [("m-larg", "did you mean m-large?"), ("zzz", "not among")]
)
def test_a_model_that_is_not_listed_is_a_warning(
    check: Check, upstream: FakeUpstream, model: str, advice: str
) -> None:
    result = check(upstream.url, model=model)

    assert (stages(result)["model"], result.exit_code) == ("warning", 0)
    assert advice in result.stdout


def test_a_model_that_is_refused_fails_with_send(check: Check, upstream: FakeUpstream) -> None:
    upstream.script(lambda _: None, Answer(404, body=error_body("The model does not exist")))

    result = check(upstream.url, "--send")

    assert (stages(result)["send"], result.exit_code) == ("failed", 1)
    assert "the provider refuses m: 404 The model does not exist" in result.stdout


def test_without_a_model_send_wants_one(check: Check, upstream: FakeUpstream) -> None:
    result = check(upstream.url, "--send", model=None)
    assert (stages(result)["model"], stages(result)["send"]) == ("skipped", "skipped")

    result = check(upstream.url, "--send", "--model", "m-large", model=None)
    assert stages(result)["send"] == "ok"
    assert upstream.requests[-1].json()["model"] == "m-large"


def test_the_dialect_of_the_path_is_spoken(check: Check, upstream: FakeUpstream) -> None:
    result = check(upstream.url, "--send", path="/v1/messages")

    assert (stages(result)["key"], stages(result)["send"]) == ("skipped", "ok")
    assert [each.path for each in upstream.requests] == ["/v1/messages"]


def test_an_unknown_name_fails_at_dns(check: Check) -> None:
    result = check("https://nowhere.invalid")

    assert (stages(result), result.exit_code) == ({"dns": "failed"}, 1)
    assert "nowhere.invalid has no address" in result.stdout


def test_a_closed_port_fails_at_tcp(check: Check) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    result = check(f"https://127.0.0.1:{port}")

    assert (stages(result), result.exit_code) == ({"dns": "ok", "tcp": "failed"}, 1)
    assert "Connection refused" in result.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"names": ("other.example",)}, "is not trusted"),
        ({"expired": True}, "certificate has expired"),
        ({"self_signed": True}, "LLM_MESH_CA_FILE"),
    ],
)
def test_a_bad_certificate_fails_at_tls(
    check: Check, ca: CertificateAuthority, options: dict[str, object], words: str
) -> None:
    names = options.pop("names", (HOST,))
    context = ca.issue(*names, **options)  # type: ignore[arg-type,misc]
    with FakeUpstream(tls=context) as upstream:
        result = check(upstream.url)

    assert (stages(result), result.exit_code) == ({"dns": "ok", "tcp": "ok", "tls": "failed"}, 1)
    assert words in result.stdout


def test_plain_http_where_tls_was_expected_fails_at_tls(check: Check) -> None:
    check.environ.setenv("LLM_MESH_CONNECT_TIMEOUT", "0.5")  # the server waits for a head
    with FakeUpstream(tls=False) as upstream:
        result = check(upstream.url.replace("http:", "https:"))

    assert (stages(result)["tls"], result.exit_code) == ("failed", 1)


def test_a_mute_server_fails_when_its_time_is_over(check: Check) -> None:
    check.environ.setenv("LLM_MESH_CONNECT_TIMEOUT", "0.05")
    with FakeUpstream(tls=False, mute=True) as upstream:
        result = check(upstream.url)

    assert (stages(result)["key"], result.exit_code) == ("failed", 1)
    assert "no answer within 0.05 s" in result.stdout


@pytest.mark.parametrize("answer", [b"not HTTP\r\n\r\n", b""])
def test_what_is_not_http_fails_at_the_key(
    check: Check, upstream: FakeUpstream, answer: bytes
) -> None:
    upstream.script(Raw(answer))

    result = check(upstream.url)

    assert (stages(result)["key"], result.exit_code) == ("failed", 1)
    assert "no HTTP response" in result.stdout


def test_behind_a_proxy_only_a_call_is_tried(check: Check, upstream: FakeUpstream) -> None:
    check.environ.setenv("LLM_MESH_TRUST_ENV", "true")
    check.environ.setenv("https_proxy", "http://127.0.0.1:9")

    assert stages(check(upstream.url)) == {"connection": "skipped"}


def test_without_manifests_it_is_a_wrong_command_line() -> None:
    assert CliRunner().invoke(main, ["check"]).exit_code == 2
