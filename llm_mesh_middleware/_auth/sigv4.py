"""AWS Signature Version 4: a signature over method, target, some header fields and the body.

canonical request -> string to sign -> signature <- key of day, region and service <- secret key
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from hmac import digest
from typing import ClassVar, Protocol
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from .._core.private import Discreet
from .._core.provider.secrets import Secrets
from .._core.values.messages import Deadline, UpstreamRequest
from .._core.values.steps import Step, StepResult

__all__ = ["AccessKey", "AccessKeySource", "SigV4", "StaticAccessKey"]

_ALGORITHM = "AWS4-HMAC-SHA256"
_TOKEN = b"x-amz-security-token"
_OWN = frozenset((b"authorization", b"x-amz-date", b"x-amz-content-sha256", _TOKEN))


class AccessKey(Discreet, frozen=True):
    """A key that signs requests; temporary ones have a `session_token`."""

    shown: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    secret: str
    session_token: str | None = None


class AccessKeySource(Protocol):
    """Where the access key comes from."""

    def get(
        self, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, AccessKey]:
        """Return the key that is valid now; may wait for it.

        Raises:
            CredentialUnavailable: there is none.
        """


class StaticAccessKey(msgspec.Struct, frozen=True):
    """A key that is configured."""

    key: AccessKey

    def get(
        self, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, AccessKey]:
        """Return the key, without waiting."""
        return self.key
        yield  # makes this a generator, like the sources that wait


class SigV4(Discreet, frozen=True):
    """Signs the host, the date, the session token and the `x-amz-*` fields of each request.

    `secrets` learns the session token, so that it is redacted in responses.
    """

    shown: ClassVar[tuple[str, ...]] = ("source", "region", "service")

    source: AccessKeySource
    region: str
    secrets: Secrets
    service: str = "bedrock"

    def at_once(self, request: UpstreamRequest) -> None:
        """Return None: a signature has the time in it."""

    def apply(
        self, request: UpstreamRequest, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, UpstreamRequest]:
        """Return the request with its signature."""
        key = yield from self.source.get(wall_clock, deadline)
        date = datetime.fromtimestamp(wall_clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        fields = [field for field in request.headers if field[0] not in _OWN]
        fields.append((b"x-amz-date", date.encode()))
        if key.session_token is not None:
            token = key.session_token.encode("latin-1")
            self.secrets.learn(token)
            fields.append((_TOKEN, token))
        fields.append((b"authorization", self._authorization(request, fields, key, date)))
        return replace(request, headers=tuple(fields))

    def _authorization(
        self,
        request: UpstreamRequest,
        fields: list[tuple[bytes, bytes]],
        key: AccessKey,
        date: str,
    ) -> bytes:
        signed = _signed_fields(fields)
        names = ";".join(signed)
        scope = f"{date[:8]}/{self.region}/{self.service}/aws4_request"
        canonical = _canonical(request, signed, names)
        to_sign = "\n".join((_ALGORITHM, date, scope, sha256(canonical.encode()).hexdigest()))
        derived = _derived_key(key.secret, date[:8], self.region, self.service)
        signature = digest(derived, to_sign.encode(), "sha256").hex()
        return (
            f"{_ALGORITHM} Credential={key.id}/{scope}, SignedHeaders={names}, "
            f"Signature={signature}"
        ).encode("latin-1")


def _signed_fields(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the signed fields sorted by name, with runs of white space as one space."""
    found: dict[str, list[str]] = {}
    for name, value in fields:
        if name == b"host" or name.startswith(b"x-amz-"):
            text = " ".join(value.decode("latin-1").split())
            found.setdefault(name.decode("latin-1"), []).append(text)
    return {name: ",".join(found[name]) for name in sorted(found)}


def _canonical(request: UpstreamRequest, signed: dict[str, str], names: str) -> str:
    path, _, query = request.target.partition("?")
    lines = [request.method, _canonical_path(path), _canonical_query(query)]
    lines += [f"{name}:{value}" for name, value in signed.items()]
    lines += ["", names, sha256(request.body).hexdigest()]
    return "\n".join(lines)


def _canonical_path(path: str) -> str:
    """Return the path, percent-encoded twice as every service except S3 expects."""
    segments = [segment for segment in path.split("/") if segment]
    end = "/" if segments and path.endswith("/") else ""
    return "/" + quote("/".join(segments), safe="/-_.~") + end


def _canonical_query(query: str) -> str:
    """Return the pairs of an encoded query, sorted."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return "&".join(f"{name}={value}" for name, _, value in sorted(pairs))


# A derived key is valid for a day; a process uses a handful of keys and regions.
@lru_cache(maxsize=32)
def _derived_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode("latin-1")
    for part in (day, region, service, "aws4_request"):
        key = digest(key, part.encode(), "sha256")
    return key
