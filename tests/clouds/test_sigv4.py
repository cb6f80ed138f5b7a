"""Signatures, recomputed by botocore over what is really sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from msgspec.structs import replace

from llm_mesh_middleware._auth.sigv4 import AccessKey, SigV4, StaticAccessKey
from llm_mesh_middleware._core.provider.secrets import Secrets
from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._core.values.messages import Deadline, UpstreamRequest
from llm_mesh_middleware._dialects.targets import fill
from tests.rows import rows
from tests.texts import texts

HOST = "bedrock-runtime.eu-west-1.amazonaws.com"
DEADLINE = Deadline(0.0, "first_byte", 1.0, HOST)
KEY = AccessKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOW = 1_700_000_000.0


def made(target: str, body: bytes = b"{}", *fields: tuple[bytes, bytes]) -> UpstreamRequest:
    endpoint = Endpoint(HOST, "https", HOST, 443, HOST)
    headers = ((b"host", HOST.encode()), (b"content-type", b"application/json"), *fields)
    return UpstreamRequest(endpoint, "POST", target, headers, body, 1.0)


def signed(
    request: UpstreamRequest,
    key: AccessKey = KEY,
    *,
    clock: Callable[[], float] = lambda: NOW,
    secrets: Secrets | None = None,
) -> UpstreamRequest:
    secrets = Secrets() if secrets is None else secrets
    credential = SigV4(StaticAccessKey(key), "eu-west-1", secrets)
    with pytest.raises(StopIteration) as stopped:
        next(credential.apply(request, clock, DEADLINE))
    result: UpstreamRequest = stopped.value.value
    return result


def signature_of(request: UpstreamRequest) -> str:
    (value,) = [value for name, value in request.headers if name == b"authorization"]
    return value.decode()


def botocores(request: UpstreamRequest, key: AccessKey = KEY) -> str:
    """What botocore makes of the same method, target, signed fields and body."""
    names = signature_of(request).partition("SignedHeaders=")[2].partition(",")[0].split(";")
    fields = {k.decode(): v.decode("latin-1") for k, v in request.headers if k.decode() in names}
    url = f"https://{HOST}{request.target}"
    asked = AWSRequest(request.method, url, fields, request.body)
    asked.context["timestamp"] = fields["x-amz-date"]
    auth = SigV4Auth(Credentials(key.id, key.secret, key.session_token), "bedrock", "eu-west-1")
    canonical = auth.canonical_request(asked)
    signature = auth.signature(auth.string_to_sign(asked, canonical), asked)
    scope = auth.scope(asked)
    return (
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}"
    )


@rows(
    ("target", "body"),
    [
        ("/model/m/converse", b"{}"),
        ("/model/us.anthropic.claude-v1%3A0/converse-stream", b'{"a": "\xc3\xbc"}'),
        (fill("/model/{model}/invoke", "arn:aws:bedrock:eu:1:profile/x y"), b""),
        ("//model//m/", b"{}"),
        ("/model/m~a_b-c.d/count-tokens", b"{}" * 50_000),
        ("/model/m/converse?b=2&a=1&a=0&c", b"{}"),
    ],
)
def test_a_signature_is_the_one_that_botocore_computes(target: str, body: bytes) -> None:
    request = signed(made(target, body))
    assert signature_of(request) == botocores(request)
    assert request.target == target
    assert request.body == body


@given(model=texts(min_size=1).filter(lambda text: text not in (".", "..")))
def test_any_name_of_a_model_is_signed_as_it_is_sent(model: str) -> None:
    try:
        target = fill("/model/{model}/converse", model)
    except UnicodeEncodeError:
        return
    request = signed(made(target))
    assert signature_of(request) == botocores(request)


def test_a_session_token_is_signed_and_learnt() -> None:
    key = AccessKey("ASIA", "secret", "session-token-0123456789")
    secrets = Secrets()
    request = signed(made("/model/m/converse"), key, secrets=secrets)
    assert "host;x-amz-date;x-amz-security-token" in signature_of(request)
    assert signature_of(request) == botocores(request, key)
    assert secrets.redact(b"got session-token-0123456789") == b"got ***"


@rows("name", [b"authorization", b"x-amz-date", b"x-amz-security-token"])
def test_a_clients_own_field_is_replaced(name: bytes) -> None:
    request = signed(made("/model/m/converse", b"{}", (name, b"theirs")))
    assert b"theirs" not in dict(request.headers).values()
    assert signature_of(request) == botocores(request)


def test_amz_fields_that_are_configured_are_signed() -> None:
    fields = ((b"x-amzn-bedrock-trace", b"on"), (b"x-amz-a", b"  b   c "), (b"x-amz-a", b"d"))
    request = signed(made("/model/m/converse", b"{}", *fields))
    assert "host;x-amz-a;x-amz-date," in signature_of(request)


def test_each_attempt_is_signed_for_its_own_time_and_body() -> None:
    first = signed(made("/model/m/converse"))
    later = signed(first, clock=lambda: NOW + 1)
    other = signed(replace(first, body=b"[]"))
    assert len({signature_of(each) for each in (first, later, other)}) == 3
    assert signature_of(later) == botocores(later)
    assert signature_of(other) == botocores(other)


def test_the_secret_is_in_no_representation() -> None:
    assert KEY.secret not in repr(SigV4(StaticAccessKey(KEY), "eu", Secrets()))
