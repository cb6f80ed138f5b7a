"""`MeshSettings`: the settings of a process, from `LLM_MESH_*` or keywords.

Manifests define how requests are routed; settings configure this process.
"""

import difflib
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ._core.http.forwarding import NEVER_FORWARDED, is_forbidden
from ._schema.spelling.stores import StoreURL
from ._schema.spelling.variables import (
    KUBERNETES,
    read_labels,
    read_object,
    read_path,
    read_paths,
    read_words,
)
from ._schema.values import (
    check_base_url,
    check_file_name,
    check_header_name,
    check_host,
    check_name,
)
from ._schema.wording import (
    Given,
    field_path,
    format_field,
    is_about_a_key,
    say,
    shown,
    suggest,
)
from .exceptions import ConfigError, Problem

__all__ = ["KUBERNETES", "MeshSettings", "load_settings"]

logger = logging.getLogger("llm_mesh_middleware")

_PREFIX = "LLM_MESH_"
_SECRET_FIELDS = frozenset(("client_keys", "store", "cache_store"))
_MIB = 2**20
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
# Variables that Kubernetes sets in every pod if a Service is named llm-mesh.
_OF_A_SERVICE = re.compile(r"LLM_MESH_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\w+)?)")
_NAMESPACE = re.compile(r"|\*|[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def _check_client_key(value: SecretStr) -> SecretStr:
    check_name(value.get_secret_value())
    return value


def _check_client_keys(keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
    if len({key.get_secret_value() for key in keys.values()}) < len(keys):
        raise ValueError("must not give two names the same key")
    return keys


def _check_forwarded(pattern: str) -> str:
    """Check a header name, or a prefix of names followed by `-*`."""
    pattern = pattern.lower()
    stem = pattern.removesuffix("*")
    check_header_name(stem)
    if "*" in stem or (stem != pattern and not stem.endswith("-")):
        raise ValueError("must be a header name or a prefix such as x-tenant-*")
    name = stem.encode()
    caught = [never for never in NEVER_FORWARDED if never.startswith(name)]
    if is_forbidden(name) or (stem != pattern and (caught or _is_near_forbidden(name))):
        raise ValueError("must not cover a header that never goes upstream, such as authorization")
    return pattern


def _check_origin(origin: str) -> str:
    """Check an origin as browsers send it (RFC 6454 7)."""
    origin = origin.lower()
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        raise ValueError("must be an origin such as https://app.example, without a path, or *")
    return origin


def _is_near_forbidden(prefix: bytes) -> bool:
    """Return whether a prefix includes a forbidden family: `x-*` includes `x-forwarded-*`."""
    return any(
        is_forbidden(family) and family.startswith(prefix)
        for family in (b"proxy-", b"x-forwarded-")
    )


def _check_sources(paths: tuple[str, ...]) -> tuple[str, ...]:
    clusters = [path for path in paths if path.startswith(KUBERNETES)]
    if not clusters:
        return paths
    if len(paths) > 1:
        raise ValueError(f"must be files and directories, or {KUBERNETES} alone")
    if not _NAMESPACE.fullmatch(clusters[0].removeprefix(KUBERNETES)):
        raise ValueError(f"must have a namespace after {KUBERNETES}, or * for all, or nothing")
    return paths


_Words = BeforeValidator(read_words)
_Object = BeforeValidator(read_object)
_Name = Annotated[str, AfterValidator(check_name)]
_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Bytes = Annotated[int, Field(gt=0)]
_File = Annotated[str, BeforeValidator(read_path), AfterValidator(check_file_name)]


class MeshSettings(BaseSettings):
    """The settings; each can be set by the variable `LLM_MESH_` plus its name in capitals.

    A keyword overrides the environment. An empty variable counts as unset.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="forbid",  # a misspelt `access` must not leave the mesh open
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # built on first use, to keep the import fast
    )

    config: Annotated[
        tuple[_File, ...], NoDecode, BeforeValidator(read_paths), AfterValidator(_check_sources)
    ] = Field(
        default=(),
        description="Manifests: files and directories, with the path separator of the system"
        " between them, or a JSON list; or kubernetes: with a namespace, * for all or nothing for"
        " the pod's own. Default: none.",
    )
    endpoints: Annotated[
        dict[
            Annotated[str, AfterValidator(check_host)],
            Annotated[str, AfterValidator(check_base_url)],
        ],
        NoDecode,
        _Object,
    ] = Field(
        default_factory=dict,
        description="Provider host to the base URL to connect to instead, a JSON object;"
        " overrides spec.endpoint. Default: none.",
    )
    ca_file: _File | None = Field(
        default=None,
        description="PEM bundle to trust in addition to the system's. Default: the system's alone.",
    )
    labels: Annotated[dict[str, str], NoDecode, BeforeValidator(read_labels)] = Field(
        default_factory=dict,
        description="Labels of this workload, as app=web,version=v1, or @ and the path of a"
        " downward API file with them, which is read once. Default: none.",
    )
    namespace: _Name = Field(
        default="default",
        description="Namespace of this workload and of documents that name none. Default: default.",
    )
    gateways: Annotated[tuple[_Name, ...], NoDecode, _Words] = Field(
        default=("mesh",),
        description="Gateway names of this process, separated by commas. Default: mesh.",
    )
    default_host: Annotated[str, AfterValidator(check_host)] | None = Field(
        default=None,
        description="Virtual host of requests to llm-mesh serve whose Host is none, so that a"
        " base_url is enough. Default: none.",
    )
    reload_interval: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=1,
        description="Seconds between checks of the manifests and their files; 0 disables them."
        " Default: 1.",
    )
    client_keys: Annotated[
        dict[_Name, Annotated[SecretStr, AfterValidator(_check_client_key)]],
        NoDecode,
        _Object,
        AfterValidator(_check_client_keys),
    ] = Field(
        default_factory=dict,
        description="Name of a caller to its Bearer key, a JSON object; the name becomes the"
        " consumer in matching and telemetry. Default: none.",
    )
    access: Literal["private", "keys", "open"] = Field(
        default="private",
        description="Who may use the mesh. private: loopback and private peers, or a client key,"
        " or authorize; keys: a client key or authorize; open: everyone. Default: private.",
    )
    connect_timeout: _Seconds = Field(
        default=5, description="Seconds to get a connection to a provider. Default: 5."
    )
    first_byte_timeout: _Seconds = Field(
        default=60, description="Seconds to the first event of a stream. Default: 60."
    )
    idle_timeout: _Seconds = Field(
        default=60, description="Seconds between two bytes of a response. Default: 60."
    )
    request_timeout: _Seconds = Field(
        default=600, description="Seconds for a whole request, attempts included. Default: 600."
    )
    max_request_bytes: _Bytes = Field(
        default=32 * _MIB,
        description="Longest request body in bytes; it is held in memory. Default: 32 MiB.",
    )
    max_response_bytes: _Bytes = Field(
        default=64 * _MIB,
        description="Longest response in bytes that is not a stream; it is held in memory."
        " Default: 64 MiB.",
    )
    forward_headers: Annotated[
        tuple[Annotated[str, AfterValidator(_check_forwarded)], ...], NoDecode, _Words
    ] = Field(
        default=(),
        description="Request headers to forward in addition to the built-in list: names or"
        " prefix-*, separated by commas. Default: none.",
    )
    origins: Annotated[
        tuple[Annotated[str, AfterValidator(_check_origin)], ...], NoDecode, _Words
    ] = Field(
        default=(),
        description="Origins whose web pages llm-mesh serve answers, such as https://app.example,"
        " commas between; * for all. Default: none.",
    )
    trust_env: bool = Field(
        default=False,
        description="Whether upstream calls use the proxy variables of the process."
        " Default: false.",
    )
    sse_keepalive: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0,
        description="Seconds of silence after which a waiting stream client gets a comment, also"
        " before the first event; 0 for never. Default: 0.",
    )
    upstream_client: Literal["auto", "httpx", "aiohttp"] = Field(
        default="auto",
        description="httpx: OpenTelemetry's instrumentation of httpx, if it is on, sees calls from"
        " event loops too. It always sees those of threads. Default: auto, as aiohttp.",
    )
    http_client_spans: Literal["auto", "suppress"] = Field(
        default="auto",
        description="Whether an HTTP client's own instrumentation makes spans of upstream calls."
        " auto: if it is installed; suppress: never. Default: auto.",
    )
    attempt_spans: Literal["on_retry", "always", "never"] = Field(
        default="on_retry",
        description="When each attempt of a call has a span of its own. Default: on_retry.",
    )
    spans: bool = Field(
        default=True,
        description="Whether the mesh makes spans; trace context passes anyway. Default: on.",
    )
    server_spans: bool = Field(
        default=False,
        description="Whether requests have a SERVER span and http.server.* metrics of the mesh's"
        " own, if no other instrumentation makes them. Default: false.",
    )
    metrics: bool = Field(
        default=True, description="Whether the mesh records metrics. Default: on."
    )
    asm_metrics: bool = Field(
        default=True,
        description="Whether tokens are also counted by ASM's two metrics. Default: true.",
    )
    chunk_metrics: bool = Field(
        default=False,
        description="Whether the time from each chunk of a stream to the next is recorded; this"
        " costs CPU for every chunk. Default: false.",
    )
    store: StoreURL = Field(
        default=SecretStr("memory:"),
        description="Where limits are kept: memory: for each process alone, or redis://, rediss://,"
        " redis+cluster:// or unix:// for all that share it. Default: memory:.",
    )
    cache_store: StoreURL | None = Field(
        default=None,
        description="Where cached responses are kept. Default: as LLM_MESH_STORE.",
    )
    store_timeout: _Seconds = Field(
        default=0.05, description="Seconds that a request waits for a store. Default: 0.05."
    )
    store_prefix: _Name = Field(
        default="llm-mesh", description="What keys in the stores begin with. Default: llm-mesh."
    )
    response_headers: bool = Field(
        default=True,
        description="Whether answers carry x-llm-mesh-* headers that tell how they were routed."
        " Default: true.",
    )
    prices: Annotated[str, BeforeValidator(read_path), AfterValidator(check_file_name)] = Field(
        default="none",
        description="Prices of providers whose manifests have none: none, genai-prices (the extra"
        " prices), or a file with a mapping of provider hosts to lists as in spec.prices."
        " Default: none.",
    )
    cost_header: bool = Field(
        default=False,
        description="Whether replies that are not streams carry x-llm-mesh-cost. Default: false.",
    )
    cost_attributes: Annotated[tuple[_Name, ...], NoDecode, _Words] = Field(
        default=(),
        description="Attributes of the caller that llm_mesh.cost is counted by, separated by"
        " commas. Default: none.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read only keywords and the environment: looking for other files takes as long.

        Looking for each setting in an environment that has none of them takes longer than the rest.
        """
        is_set = any(name.upper().startswith(_PREFIX) for name in os.environ)
        return (init_settings, env_settings) if is_set else (init_settings,)


def load_settings(**overrides: Any) -> MeshSettings:
    """Read the settings of this process; keywords override the environment.

    Raises:
        ConfigError: has one problem for each invalid variable.
    """
    _warn_of_unknown_variables(frozenset(name for name in os.environ if name.startswith(_PREFIX)))
    known = MeshSettings.model_fields
    problems = [_unknown(name) for name in overrides if name not in known]
    try:
        settings = MeshSettings(**{name: overrides[name] for name in overrides if name in known})
    except ValidationError as exc:
        problems += map(_problem, exc.errors(include_url=False))
    if problems:
        # Outside the handler: a chained exception would hold every input.
        raise ConfigError(problems)
    return settings


@cache  # once for the same variables
def _warn_of_unknown_variables(variables: frozenset[str]) -> None:
    known = [name.upper() for name in MeshSettings.model_fields]
    for variable in sorted(variables.difference(map(_variable, known))):
        if not _OF_A_SERVICE.fullmatch(variable):
            # Without the prefix, by which any two names look alike.
            near = difflib.get_close_matches(variable.removeprefix(_PREFIX), known, n=1)
            advice = f"did you mean {_PREFIX}{near[0]}?" if near else "no setting has this name"
            logger.warning("%s is set and has no effect; %s", variable, advice)


def _unknown(name: str) -> Problem:
    message = f"unknown setting; {suggest(name, MeshSettings.model_fields)}"
    return Problem(_variable(name), 0, 0, "", message)


def _problem(error: ErrorDetails) -> Problem:
    name, *below = field_path(error)
    if is_about_a_key(error) and name in _SECRET_FIELDS:
        below = []  # a name and its key may have changed places
    given = None if is_about_a_key(error) else _given(str(name), error["input"])
    message = say(error, given)
    return Problem(_variable(str(name)), 0, 0, format_field(tuple(below)), message)


def _variable(name: str) -> str:
    return _PREFIX + name.upper()


_KINDS: tuple[tuple[type | tuple[type, ...], str, Callable[[Any], str] | None], ...] = (
    (str, "a string", shown),
    (bool, "a boolean", lambda value: str(value).lower()),
    ((int, float), "a number", str),
    (type(None), "nothing", None),
    (Mapping, "a mapping", None),
    (Iterable, "a list", None),
)


def _given(name: str, value: object) -> Given | None:
    for kind, words, text in _KINDS:
        if isinstance(value, kind):
            # An @ is the user information of a URL; an object is written as a long string.
            is_private = name in _SECRET_FIELDS or "@" in str(value) or "{" in str(value)
            return Given(words, None if is_private or text is None else text(value))
    return None
