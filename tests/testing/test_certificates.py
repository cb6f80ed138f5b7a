"""Good certificates are trusted by name; each bad one fails for the reason it says."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.testing.clients import CHAT, HOST, SNIConnection, read_all, request_bytes


def ask(upstream: FakeUpstream, name: str, context: ssl.SSLContext) -> int:
    connection = SNIConnection(upstream, name, context)
    try:
        connection.request("GET", CHAT)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("name", [HOST, "other.example"])
def test_each_host_name_is_trusted_and_seen(ca: CertificateAuthority, name: str) -> None:
    with FakeUpstream(host_names=(HOST, "other.example"), ca=ca) as upstream:
        assert ask(upstream, name, ca.client_context()) == 404
        assert upstream.requests[0].server_name == name
        assert upstream.endpoints == {HOST: upstream.url, "other.example": upstream.url}
        assert upstream.url == f"https://127.0.0.1:{upstream.port}"


BAD = {
    "another name": ({}, "other.example", "Hostname mismatch"),
    "expired": ({"expired": True}, HOST, "certificate has expired"),
    "self-signed": ({"self_signed": True}, HOST, "self-signed certificate"),
}


@pytest.mark.parametrize(("how", "name", "says"), BAD.values(), ids=BAD)
def test_a_bad_certificate_is_refused_before_a_byte_of_the_request(
    ca: CertificateAuthority, how: dict[str, bool], name: str, says: str
) -> None:
    with FakeUpstream(tls=ca.issue(name, **how)) as upstream:
        with pytest.raises(ssl.SSLCertVerificationError, match=says):
            ask(upstream, HOST, ca.client_context())
        assert upstream.wait_closed()
        assert upstream.requests == []
        assert len(upstream.tls_failures) == 1
        upstream.clear()
        assert upstream.tls_failures == []


def test_an_unknown_authority_is_refused(ca: CertificateAuthority) -> None:
    with (
        FakeUpstream(host_names=HOST) as upstream,
        pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"),
    ):
        ask(upstream, HOST, ca.client_context())


def test_plain_http_on_a_tls_port_is_a_failed_handshake(ca: CertificateAuthority) -> None:
    with FakeUpstream(ca=ca) as upstream:
        with socket.create_connection(("127.0.0.1", upstream.port), 2) as sock:
            sock.sendall(request_bytes())
            received, _ = read_all(sock)
        assert not received.startswith(b"HTTP")
        assert upstream.wait_closed()
        assert len(upstream.tls_failures) == 1


def test_a_written_authority_is_trusted_by_file(ca: CertificateAuthority, tmp_path: Path) -> None:
    path = ca.write(tmp_path / "ca.pem")

    assert path.read_bytes() == ca.pem
    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        assert ask(upstream, HOST, ssl.create_default_context(cafile=path)) == 404


def test_a_client_certificate_is_asked_for(ca: CertificateAuthority, tmp_path: Path) -> None:
    with FakeUpstream(tls=ca.issue(HOST, require_client=True)) as upstream:
        context = ca.client_context()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(upstream, HOST, context)
        assert upstream.wait_closed()
        assert upstream.requests == []
        context.load_cert_chain(ca.write_certificate(tmp_path / "client.pem", "client.example"))
        assert ask(upstream, HOST, context) == 404


def test_an_upstream_without_authority_says_so() -> None:
    with pytest.raises(RuntimeError, match="no authority"):
        _ = FakeUpstream(tls=False).ca


@pytest.mark.slow
def test_without_trustme_plain_http_works_and_tls_says_what_to_install() -> None:
    code = """
import sys
sys.modules["trustme"] = None
from llm_mesh_middleware.testing import FakeUpstream
FakeUpstream(tls=False).start().close()
try:
    FakeUpstream()
except ImportError as error:
    assert "install llm-mesh-middleware[cli]" in str(error)
    sys.exit(7)
"""
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], timeout=20).returncode == 7
