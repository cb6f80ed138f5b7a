"""One `LLMProvider`, its configurations resolved, as the upstreams that rules use."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from .._auth.static_key import StaticHeader, bearer_token
from .._core.dialect import ServedOperation
from .._core.explaining.redaction import is_credential
from .._core.provider.credential import Credential
from .._core.provider.endpoints import StaticEndpoints
from .._core.provider.identity import ProviderIdentity
from .._core.provider.outlier_detection import OutlierDetection
from .._core.provider.secrets import Secrets
from .._core.provider.upstream import Upstream
from .._core.values.endpoint import Endpoint, TLSFiles
from .._core.values.payload import raw
from .._dialects.anthropic import MESSAGES
from .._dialects.openai_chat import CHAT
from .._dialects.registry import OPERATIONS
from .._files import FileVersion, read_bounded, version_of
from .._manifest import PYTHON, Resource, Secret, SecretName
from ..config import LLMProvider, OpenAIConfig, SecretKeyRef
from ..config import OutlierDetection as OutlierDetectionConfig
from ..exceptions import Problem

__all__ = ["CompiledProvider"]

_Path = tuple[str | int, ...]
_DEFAULT: _Path = ("spec", "configs", "defaultConfig", "openAIConfig")
_PORTS = {"http": 80, "https": 443}
_DETECTION_FIELDS = {
    "consecutive_failures": "consecutive_failures",
    "interval": "interval_s",
    "base_ejection_time": "base_ejection_s",
    "max_ejection_time": "max_ejection_s",
    "half_open_requests": "half_open_requests",
}

# A shorter header value is an ordinary word rather than a secret.
_SECRET_LENGTH = 8
_MAX_KEY_BYTES = 64 * 2**10


@dataclass(frozen=True, slots=True)
class _Settled:
    """An `openAIConfig` after inheritance, its key at hand."""

    config: OpenAIConfig
    key: str | None


class CompiledProvider:
    """A provider ready to be pointed at; `problems` tells what is wrong with it.

    `files` are those that it has read or will read beside its manifest, in the version they had
    before that.
    """

    def __init__(
        self,
        resource: Resource,
        *,
        endpoints: Mapping[str, str],
        environ: Mapping[str, str],
        secrets: Mapping[SecretName, Secret] | None = None,
    ) -> None:
        if not isinstance(resource.model, LLMProvider):
            raise TypeError(f"{resource.name} is no LLMProvider")
        self.resource = resource
        self.host = resource.model.spec.host.lower().rstrip(".")
        self.problems: list[Problem] = []
        self.files: dict[str, FileVersion] = {}
        self._environ = environ
        self._secrets = secrets
        self._spec = resource.model.spec
        self._check_tls()
        self._endpoint = self._connect_to(endpoints.get(self.host) or self._spec.endpoint)
        self._targets = _targets(self._spec.path)
        self._identity = ProviderIdentity(
            resource.namespace, resource.name, self.host, repr((self._spec, self._endpoint))
        )
        self._default, self._by_rule = self._settle_configs()

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The rules that `routeSpecificConfigs` speaks of."""
        return tuple(self._by_rule)

    def upstream(
        self, rule: str | None = None, *, model: str | None = None, host_rewrite: str | None = None
    ) -> Upstream:
        """The provider as the rule named `rule` uses it.

        `model` and `host_rewrite` are those of the rule's backendRef.
        """
        settled = self._by_rule.get(rule or "", self._default)
        config = settled.config
        own = {name: value.get_secret_value() for name, value in (config.headers or {}).items()}
        headers = [
            ("host", host_rewrite or _bracketed(self.host)),
            ("content-type", "application/json"),
        ]
        headers += [("accept-encoding", "identity"), *own.items()]
        return Upstream(
            identity=self._identity,
            endpoints=StaticEndpoints((self._endpoint,)),
            targets=self._targets,
            headers=tuple((name.encode(), value.encode("latin-1")) for name, value in headers),
            model=model or config.model,
            model_mapping=dict(config.model_mapping or {}),
            stream=config.stream,
            asks_usage=config.stream_usage is not False,
            defaults={name: raw(value) for name, value in (config.defaults or {}).items()},
            credentials=_credentials(settled.key, self._targets, own),
            secrets=_secrets(settled.key, own, self._spec.path),
            detection=_detection(self._spec.outlier_detection),
            max_concurrency=self._spec.max_concurrency,
        )

    def _connect_to(self, url: str | None) -> Endpoint:
        parts = urlsplit(url or f"https://{_bracketed(self.host)}")
        files = self._spec.tls
        return Endpoint(
            provider_host=self.host,
            scheme=parts.scheme,
            address=parts.hostname or self.host,
            port=parts.port or _PORTS[parts.scheme],
            server_name=(files and files.server_name) or self.host,
            tls=TLSFiles(files.ca_file, files.client_cert_file, files.client_key_file)
            if files
            else TLSFiles(),
        )

    def _check_tls(self) -> None:
        """A file that cannot be used is found now, not by the first request."""
        tls = self._spec.tls
        if tls is None:
            return
        for file in (tls.ca_file, tls.client_cert_file, tls.client_key_file):
            if file is not None:
                self._depend_on(file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if tls.ca_file is not None:
                context.load_verify_locations(tls.ca_file)
        except OSError as exc:
            self._complain(("spec", "tls", "caFile"), f"cannot be used: {exc.strerror or exc}")
        try:
            if tls.client_cert_file is not None:
                context.load_cert_chain(tls.client_cert_file, tls.client_key_file)
        except OSError as exc:
            path = ("spec", "tls", "clientCertFile")
            self._complain(path, f"cannot be used with its key: {exc.strerror or exc}")

    def _settle_configs(self) -> tuple[_Settled, dict[str, _Settled]]:
        configs = self._spec.configs
        base = (
            configs and configs.default_config and configs.default_config.open_ai_config
        ) or None
        default = self._settle(base or OpenAIConfig(), _DEFAULT, None)
        by_rule = {}
        for rule, specific in ((configs and configs.route_specific_configs) or {}).items():
            path: _Path = ("spec", "configs", "routeSpecificConfigs", rule, "openAIConfig")
            by_rule[rule] = self._settle(specific.open_ai_config or OpenAIConfig(), path, default)
        return default, by_rule

    def _settle(self, config: OpenAIConfig, path: _Path, default: _Settled | None) -> _Settled:
        """Inherit what is unset; a key and where it comes from are one field."""
        if config.model is not None and config.model_mapping:
            self._warn(
                (*path, "modelMapping"), "has no effect beside `model`, which is always sent"
            )
        key = self._key(config, path)
        if default is None:
            return _Settled(config, key)
        inherited = {name: getattr(default.config, name) for name in type(config).model_fields}
        own = {name: getattr(config, name) for name in config.model_fields_set}
        own = {name: value for name, value in own.items() if value is not None}
        return _Settled(OpenAIConfig.model_construct(**inherited | own), key or default.key)

    def _key(self, config: OpenAIConfig, path: _Path) -> str | None:
        if config.api_key is not None:
            key = config.api_key.get_secret_value()
            if self.resource.source != PYTHON or "${" not in key:
                return key
            self._complain((*path, "apiKey"), "is a placeholder; in Python give the key itself")
            return None
        source = config.api_key_from
        if source is None:
            return None
        path = (*path, "apiKeyFrom")
        if source.env is not None:
            return self._key_text(self._environ.get(source.env), (*path, "env"), f"${source.env}")
        if source.file is not None:
            self._depend_on(source.file)
            try:
                text = read_bounded(source.file, _MAX_KEY_BYTES).decode("latin-1")
            except OSError as exc:
                self._complain((*path, "file"), f"cannot read {source.file}: {exc.strerror}")
                return None
            return self._key_text(text, (*path, "file"), source.file)
        if source.secret_key_ref is not None:
            return self._secret_text(source.secret_key_ref, (*path, "secretKeyRef"))
        return None

    def _secret_text(self, ref: SecretKeyRef, path: _Path) -> str | None:
        if self._secrets is None:
            message = "needs KubernetesSource, which has a cluster to read from; use env or file"
            self._complain(path, message)
            return None
        name = f"Secret {self.resource.namespace}/{ref.name}"
        secret = self._secrets.get((self.resource.namespace, ref.name))
        if secret is None or secret.fault:
            fault = secret.fault if secret is not None else "does not exist"
            self._complain((*path, "name"), f"{name} {fault}")
            return None
        if ref.key not in secret.data:
            self._complain((*path, "key"), f"{name} has no key {ref.key!r}")
            return None
        text = secret.data[ref.key].decode("latin-1")
        return self._key_text(text, (*path, "key"), f"key {ref.key!r} of {name}")

    def _key_text(self, text: str | None, path: _Path, origin: str) -> str | None:
        """A key file ends with a line break as a rule; other control characters are no key."""
        key = (text or "").strip()
        if not key:
            self._complain(path, f"{origin} is missing or empty")
            return None
        if not (key.isascii() and key.isprintable()):
            self._complain(path, f"what {origin} holds is no key: control or non-ASCII characters")
            return None
        return key

    def _depend_on(self, file: str) -> None:
        """Called before the file is read: a change that comes between is then noticed later."""
        self.files.setdefault(file, version_of(file))

    def _complain(self, path: _Path, message: str) -> None:
        self.problems.append(self.resource.problem(path, message))

    def _warn(self, path: _Path, message: str) -> None:
        self.problems.append(self.resource.problem(path, message, severity="warning"))


def _detection(config: OutlierDetectionConfig | None) -> OutlierDetection:
    if config is None:
        return OutlierDetection()
    given = config.model_dump(exclude_none=True)
    return OutlierDetection(**{_DETECTION_FIELDS[name]: value for name, value in given.items()})


def _credentials(
    key: str | None, operations: Iterable[ServedOperation], headers: Collection[str]
) -> Mapping[ServedOperation, Credential]:
    """Put the key into the field that the operation's dialect has for it.

    Where `headers` of the configuration set that field, the key is a Bearer token.
    """
    if key is None:
        return {}
    bearer = bearer_token(key)
    credentials: dict[ServedOperation, Credential] = {}
    for operation in operations:
        name = operation.dialect.key_field
        is_bearer = name == bearer.name or name.decode() in headers
        credentials[operation] = bearer if is_bearer else StaticHeader(name, key.encode("latin-1"))
    return credentials


def _secrets(key: str | None, headers: Mapping[str, str], path: str) -> Secrets:
    """Collect the key, configured header values, and the key that a query may hold."""
    keys = [key or ""]
    others: list[str] = []
    for name, value in headers.items():
        found = keys if is_credential(name) else others
        # A provider may repeat the token without its scheme.
        found += [part for part in (value, value.partition(" ")[2]) if len(part) >= _SECRET_LENGTH]
    query = parse_qsl(path.partition("?")[2], encoding="latin-1")
    keys += [value for name, value in query if is_credential(name)]
    return Secrets((k.encode("latin-1") for k in keys), (v.encode("latin-1") for v in others))


def _bracketed(host: str) -> str:
    """An IPv6 address as URLs and the Host field have it (RFC 3986 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def _targets(path: str) -> Mapping[ServedOperation, str]:
    """The request target of each operation: chat is `path` itself, the others stand beside it.

    Of what stands beside a path of Anthropic's, nothing is known.
    """
    bare, mark, query = path.partition("?")
    targets = {}
    if bare.endswith(MESSAGES.suffix):
        return {MESSAGES: path}
    for operation in OPERATIONS:
        if bare.endswith(operation.suffix):
            base = bare.removesuffix(operation.suffix)
            targets = {other: base + other.suffix + mark + query for other in OPERATIONS}
            break
    targets[CHAT] = path
    return targets
