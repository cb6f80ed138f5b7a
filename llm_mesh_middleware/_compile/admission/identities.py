"""Credentials of clouds: tokens, and identities that sign requests.

Imported by the configurations that have one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from ..._ambient import aws, google
from ..._auth.entra import AI_SCOPE, SCOPE
from ..._auth.google import ServiceAccount
from ..._auth.oauth import FetchedToken
from ..._auth.renewed import Fetching, Renewed
from ..._auth.sigv4 import AccessKey, AccessKeySource, SigV4, StaticAccessKey
from ..._auth.static_key import bearer_token
from ..._core.provider.credential import Credential
from ..._core.provider.secrets import Secrets
from ..._schema.dialects import DialectConfig
from ...config import (
    AnthropicConfig,
    AWSCredentials,
    AzureOpenAIConfig,
    BedrockConfig,
    EntraConfig,
    GeminiConfig,
    GoogleCredentials,
    VertexConfig,
)
from ..keys import KeyReader
from .admission import Admission
from .entra import entra_tokens
from .issuers import issuer

__all__ = ["admit_identity"]

_Path = tuple[str | int, ...]


def admit_identity(
    config: DialectConfig, path: _Path, keys: KeyReader, owner: str
) -> Admission | None:
    """Return the admission by the identity that a configuration names; see `admit`."""
    if isinstance(config, BedrockConfig):
        if config.credentials is not None:
            return _access_key(config.credentials, (*path, "credentials"), keys)
        if config.credentials_from is not None:
            return _ambient_keys((*path, "credentialsFrom"), keys, owner)
    if isinstance(config, AnthropicConfig | GeminiConfig) and config.vertex is not None:
        return _vertex(config.vertex, (*path, "vertex"), keys, owner)
    if isinstance(config, AzureOpenAIConfig | AnthropicConfig) and config.entra is not None:
        return _entra(config, config.entra, (*path, "entra"), keys, owner)
    return None


def _access_key(credentials: AWSCredentials, path: _Path, keys: KeyReader) -> Admission | None:
    key_id = keys.read(credentials, "access_key_id", path)
    secret = keys.read(credentials, "secret_access_key", path)
    token = keys.read(credentials, "session_token", path)
    if key_id is None or secret is None:
        return None
    source = StaticAccessKey(AccessKey(key_id, secret, token))
    return Admission(credential=_signer(source), secrets=tuple(filter(None, (secret, token))))


def _ambient_keys(path: _Path, keys: KeyReader, owner: str) -> Admission | None:
    if not aws.is_installed():
        keys.complain(path, "needs botocore: pip install 'llm-mesh-middleware[bedrock]'")
        return None
    return Admission(credential=_signer(Renewed(aws.access_keys(owner), threading.Lock())))


def _signer(source: AccessKeySource) -> Callable[[DialectConfig, Secrets], Credential]:
    def signer(config: DialectConfig, secrets: Secrets) -> Credential:
        region = config.region if isinstance(config, BedrockConfig) else None
        return SigV4(source, region or "", secrets)

    return signer


def _vertex(config: VertexConfig, path: _Path, keys: KeyReader, owner: str) -> Admission | None:
    token = keys.read(config, "access_token", path)
    if token is not None:
        return _token(token)
    source = config.credentials_from
    if source is None:
        return None
    fetch = _google(source, (*path, "credentialsFrom"), keys, owner)
    return None if fetch is None else _renewed(fetch)


def _entra(
    config: DialectConfig, own: EntraConfig, path: _Path, keys: KeyReader, owner: str
) -> Admission | None:
    token = keys.read(own, "access_token", path)
    if token is not None:
        return _token(token)
    scope = AI_SCOPE if isinstance(config, AnthropicConfig) else SCOPE
    found = entra_tokens(own, own.scope or scope, path, keys, owner)
    return None if found is None else _renewed(*found)


def _token(token: str) -> Admission:
    credential = bearer_token(token)
    return Admission(credential=lambda config, secrets: credential, secrets=(token,))


def _renewed(fetch: Fetching[str], *secrets: str) -> Admission:
    renewed = Renewed(fetch, threading.Lock())
    return Admission(
        credential=lambda config, known: FetchedToken(renewed, known),
        secrets=tuple(filter(None, secrets)),
    )


def _google(
    source: GoogleCredentials, path: _Path, keys: KeyReader, owner: str
) -> Fetching[str] | None:
    if source.file is not None:
        return _service_account(source.file, (*path, "file"), keys, owner)
    if google.is_installed():
        return google.access_tokens(owner)
    keys.complain(path, "needs google-auth: pip install 'llm-mesh-middleware[vertex]'")
    return None


class _KeyFile(msgspec.Struct):
    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


_read_key_file = msgspec.json.Decoder(_KeyFile).decode


def _service_account(file: str, path: _Path, keys: KeyReader, owner: str) -> Fetching[str] | None:
    text = keys.text(file, path)
    if text is None:
        return None
    if not google.can_sign():
        keys.complain(path, "needs cryptography: pip install 'llm-mesh-middleware[vertex]'")
        return None
    try:
        account = _read_key_file(text)
        sign = google.rs256(account.private_key.encode())
        endpoint = issuer(account.token_uri, owner)
    except (ValueError, KeyError, msgspec.MsgspecError):
        keys.complain(path, f"{file} is not the key file of a service account")
        return None
    return ServiceAccount(
        email=account.client_email,
        key_id=account.private_key_id,
        issuer=endpoint,
        audience=account.token_uri,
        sign=sign,
    )
