"""TLS towards endpoint pickers: verified, by a name of one's own, or with any certificate."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llm_mesh_httpx import AsyncMeshTransport
from tests.compile.test_pools import PORTS, pool, to_pool
from tests.core.tables import compiled
from tests.resilience.model_servers import ModelServer
from tests.resilience.picker import Picker
from tests.resilience.test_endpoint_picker import BODY, URL, client_of, mesh_of

NAME = "epp.team.svc"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(tmp_path: Path, authority: trustme.CA) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def issued(authority: trustme.CA, name: str) -> tuple[bytes, bytes]:
    made = authority.issue_cert(name)
    return made.private_key_pem.bytes(), made.cert_chain_pems[0].bytes()


def self_signed() -> tuple[bytes, bytes]:
    """As the reference picker makes one at its start: without a name that could be checked."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Inference Ext")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(pem, form, plain), certificate.public_bytes(pem)


def status_of(folder: Path, server: ModelServer, picker: Picker, tls: dict[str, Any]) -> int:
    picker.picks = [server.address]
    with client_of(mesh_of(folder, [server], picker.address, tls=tls)) as client:
        return client.post(URL, json=BODY).status_code


def test_a_certificate_is_verified(
    tmp_path: Path, server: ModelServer, authority: trustme.CA, ca_file: str
) -> None:
    with Picker(issued(authority, NAME)) as picker:
        named = {"caFile": ca_file, "serverName": NAME}
        assert status_of(tmp_path, server, picker, named) == 200
        assert status_of(tmp_path, server, picker, {"caFile": ca_file}) == 503
        assert status_of(tmp_path, server, picker, {"serverName": NAME}) == 503
    assert len(picker.asked) == 1


def test_the_name_is_that_of_the_address_unless_another_is_given(
    tmp_path: Path, server: ModelServer, authority: trustme.CA, ca_file: str
) -> None:
    with Picker(issued(authority, "127.0.0.1")) as picker:
        assert status_of(tmp_path, server, picker, {"caFile": ca_file}) == 200


def test_a_picker_that_makes_its_own_certificate_is_asked_if_that_is_wanted(
    tmp_path: Path, server: ModelServer
) -> None:
    with Picker(self_signed()) as picker:
        assert status_of(tmp_path, server, picker, {}) == 503
        assert status_of(tmp_path, server, picker, {"insecureSkipVerify": True}) == 200


@pytest.mark.parametrize(
    ("tls", "status"), [({"insecureSkipVerify": True}, 200), ({"serverName": NAME}, 503)]
)
async def test_it_is_the_same_in_an_event_loop(
    tmp_path: Path, server: ModelServer, tls: dict[str, Any], status: int
) -> None:
    with ExitStack() as stack:
        picker = stack.enter_context(Picker(self_signed()))
        picker.picks = [server.address]
        mesh = mesh_of(tmp_path, [server], picker.address, tls=tls)
        async with httpx.AsyncClient(transport=AsyncMeshTransport(mesh), timeout=30) as client:
            assert (await client.post(URL, json=BODY)).status_code == status
        await mesh.aclose()


def test_a_picker_in_plain_text_does_not_understand_tls(
    tmp_path: Path, server: ModelServer
) -> None:
    with Picker() as picker:
        assert status_of(tmp_path, server, picker, {"insecureSkipVerify": True}) == 503


@pytest.mark.parametrize(
    ("ref", "field", "words"),
    [
        ("pickerTLS: {}", "pickerTLS", "is for picker: epp"),
        ("picker: epp, pickerTLS: {caFile: /nowhere/ca.pem}", "pickerTLS.caFile", "cannot be used"),
        ("picker: epp, pickerTLS: {clientKeyFile: /k.pem}", "pickerTLS", "no clientCertFile"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_read(ref: str, field: str, words: str) -> None:
    spec = f"{PORTS}\n  endpoints: [a]\n  endpointPickerRef: {{name: epp}}"
    (problem,) = compiled(pool(spec), to_pool(f"name: qwen-pool, {ref}")).problems
    assert problem.field == f"spec.rules[0].backendRefs[0].backendRef.{field}"
    assert words in problem.message
    assert problem.line > 0
