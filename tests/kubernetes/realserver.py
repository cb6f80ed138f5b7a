"""A real kube-apiserver with an etcd of its own, where there are the binaries."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.kubernetes.clusters import TOKEN, eventually, unverified

__all__ = ["RealServer", "assets"]

_START_S = 120.0


def assets() -> Path | None:
    """Where kube-apiserver and etcd are, if they are."""
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    return Path(folder) if folder else None


class RealServer:
    """Use it as a context manager; the token of the tests is an admin's."""

    def __init__(self, assets: Path, folder: Path, certificate: Path) -> None:
        self._folder = folder
        self._assets = assets
        self._stack = ExitStack()
        etcd, peer, port = (_free_port() for _ in range(3))
        self.url = f"https://127.0.0.1:{port}"
        self._etcd = [
            "etcd",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        ]
        key = folder / "sa.key"
        self._server = [
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            f"--cert-dir={folder}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={certificate}",
            f"--secure-port={port}",
            "--bind-address=127.0.0.1",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RealServer:
        (self._folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
        openssl = shutil.which("openssl")
        assert openssl is not None
        command = [openssl, "genrsa", "-out", str(self._folder / "sa.key"), "2048"]
        subprocess.run(command, check=True, capture_output=True)
        with ExitStack() as stack:
            stack.callback(_end, self._launch(self._etcd))
            stack.callback(self.stop)
            self.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start the API server; what it had is in etcd."""
        self._process = self._launch(self._server)
        eventually(self._is_ready, _START_S)

    def stop(self) -> None:
        """End the API server, but not etcd, and at once: politely it would wait for watches."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _launch(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        name, *options = command
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen([str(self._assets / name), *options], stdout=log, stderr=log)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"it ended; see {self._folder}"
        headers = {"authorization": f"Bearer {TOKEN}"}
        url, verify = f"{self.url}/readyz", unverified()
        try:
            answer = httpx.get(url, headers=headers, verify=verify, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == 200


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20)
