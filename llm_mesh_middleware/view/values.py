"""The values of the view: one worker's report, the snapshot of all of them, a diff.

    Hub.report()   Report, one of each worker
    merge          Snapshot: a viewer's first event, and `snapshot.json`
    Feed           Diff: the changes since, once a second

    None of them holds a key, a message or a path, only configured names, counts, times and codes.
Tables are keyed by names joined with `SEPARATOR`.
"""

from __future__ import annotations

import msgspec

from .backends import MirrorReport, MirrorTraffic, ServerReport, ServerState

__all__ = [
    "SEPARATOR",
    "Attempt",
    "Backend",
    "Call",
    "Change",
    "ConfigProblem",
    "ConfigStatus",
    "Diff",
    "Edge",
    "Host",
    "Level",
    "Measures",
    "PolicyReport",
    "ProviderReport",
    "ProviderState",
    "Report",
    "Rule",
    "RuleTraffic",
    "Second",
    "Snapshot",
    "PolicyDecision",
    "Traffic",
    "key_of",
]

SEPARATOR = "\x1f"

# The second on the monotonic clock, which all processes of a machine share; calls, errors, tokens.
Second = tuple[int, int, int, int]


def key_of(*names: str) -> str:
    """Return the key of a row in a table."""
    return SEPARATOR.join(names)


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One attempt of a call; times are milliseconds since the call began.

    `kind` is first, retry, fallback or hedge; `why` explains it in a sentence. `error` is a code or
    a status, None if the attempt succeeded or was cancelled. `dropped` names the request's members
    that the provider's `dialect` has no place for. `rhythm` counts the events of its stream in bins
    of `bin_ms`, from the first bytes to the last event; it is empty unless a viewer was connected.
    """

    number: int
    provider: str
    host: str
    kind: str
    why: str
    begun_ms: float
    took_ms: float
    model: str | None = None
    status: int | None = None
    error: str | None = None
    is_served: bool = False
    is_cancelled: bool = False
    dropped: tuple[str, ...] = ()
    dialect: str = ""
    rhythm: tuple[int, ...] = ()
    bin_ms: float = 0.0


class PolicyDecision(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A decision of one policy item about a call; `entity` is what a guard found."""

    policy: str
    item: str
    kind: str
    decision: str
    entity: str = ""


class Call(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One exchange that has ended.

    `facts` are the values of the request that the rules of its host look at, as
    `(kind, name, value)`; a value that may be a credential is masked. `at` is when it began, in
    seconds since the epoch. `cost` is as the header says it, `0.000123 USD`.
    """

    id: str
    at: float
    host: str
    duration_ms: float
    route: str | None = None
    rule: str | None = None
    operation: str | None = None
    path: str | None = None
    dialect: str | None = None
    status: int | None = None
    error: str | None = None
    is_abandoned: bool = False
    is_stream: bool = False
    first_ms: float | None = None
    events: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    model: str | None = None
    consumer: str | None = None
    lacks_sticky_key: bool = False
    trace_id: str | None = None
    facts: tuple[tuple[str, str, str], ...] = ()
    attempts: tuple[Attempt, ...] = ()
    cost: str | None = None
    policies: tuple[PolicyDecision, ...] = ()


class Traffic(msgspec.Struct, frozen=True):
    """One worker's counts of a rule's calls, or of an edge's attempts.

    `key` is (host, rule) or (host, rule, provider). The names of sums say their window;
    `durations` and `firsts` are the buckets of histograms over the last minute. `costs` are by
    currency, in nano-units, over five minutes.
    """

    key: tuple[str, ...]
    recent: tuple[int, int, int]
    minute: int
    five_minutes: tuple[int, int]
    durations: list[int]
    firsts: list[int]
    in_flight: int
    open_streams: int
    sticky_missing: int
    costs: dict[str, int] = {}


class Level(msgspec.Struct, frozen=True):
    """How much of a limit or a budget was left at its last decision.

    `by` has the values that it counts by, `of` its maximum: tokens, requests, slots or money.
    """

    by: tuple[str, ...]
    of: float
    left: float
    second: int


class PolicyReport(msgspec.Struct, frozen=True):
    """The decisions of a policy item in five minutes, and its fullest levels.

    `says` describes a configured item's settings, and `full` is its maximum, 0 without levels.
    """

    policy: str
    item: str
    kind: str
    currency: str
    counts: dict[str, int]
    levels: list[Level]
    full: float = 0.0
    says: str = ""


class ProviderReport(msgspec.Struct, frozen=True):
    """One worker's report of a provider; `state` is one of those of `Mesh.health()`."""

    state: str
    ejected_for_s: float
    failures: int
    rate_limits: int
    in_flight: int
    last_failure: str | None


class Report(msgspec.Struct, frozen=True):
    """All counts of one worker; `calls` are those after the number that was asked for."""

    worker: int
    last_number: int
    calls: list[Call]
    traffic: list[Traffic]
    seconds: list[Second]
    providers: dict[str, ProviderReport]
    policies: list[PolicyReport] = []
    servers: dict[str, ServerReport] = {}
    mirrors: list[MirrorReport] = []


class Backend(msgspec.Struct, frozen=True):
    """A backend of a rule; `share` is the part of its priority's requests that it should get."""

    provider: str
    host: str
    model: str | None
    priority: int
    weight: int
    share: float


class Rule(msgspec.Struct, frozen=True):
    """A rule; `matches` has its conditions as text, one for each alternative."""

    name: str
    matches: tuple[str, ...]
    sticky: str | None
    backends: tuple[Backend, ...]


class Host(msgspec.Struct, frozen=True):
    """A virtual host."""

    name: str
    route: str
    rules: tuple[Rule, ...]


class Measures(msgspec.Struct, frozen=True):
    """Measures of calls or attempts: rates over the last five seconds, counts over five minutes.

    The quantiles are those of the last minute.
    """

    rate: float
    error_rate: float
    token_rate: float
    calls: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None


class RuleTraffic(Measures, frozen=True):
    """The calls of a rule; `sticky_missing` of them had no sticky key."""

    sticky_missing: int


class Edge(Measures, frozen=True):
    """The attempts of one rule at one backend, and what is under way.

    `seen_share` is its part of the rule's attempts in the last minute; `costs` are sums of five
    minutes by currency.
    """

    first_p50_ms: float | None
    in_flight: int
    open_streams: int
    seen_share: float | None
    costs: dict[str, float] = {}


class ProviderState(msgspec.Struct, frozen=True):
    """A provider over all workers: the worst state that one of them reports.

    `state` is healthy, half_open, ejected or rate_limited, and unknown before the first call.
    `ejected_in` counts the workers that have ejected it.
    """

    state: str
    ejected_for_s: float
    ejected_in: int
    failures: int
    in_flight: int
    last_failure: str | None


class ConfigProblem(msgspec.Struct, frozen=True):
    """A problem of the newest configuration."""

    place: str
    text: str
    severity: str


class Change(msgspec.Struct, frozen=True):
    """The changes of one generation against the one before it."""

    generation: int
    at: float
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


class ConfigStatus(msgspec.Struct, frozen=True):
    """Which configuration is in use, and what is wrong with the newest."""

    state: str
    generation: int
    loaded_at: float
    problems: tuple[ConfigProblem, ...]
    changes: tuple[Change, ...]


class Snapshot(msgspec.Struct, frozen=True):
    """Everything that a viewer sees.

    `skipped` counts the calls of the last second that are not among `calls`, because there were too
    many.
    """

    at: float
    second: int
    workers: int
    config: ConfigStatus
    hosts: dict[str, Host]
    rules: dict[str, RuleTraffic]
    edges: dict[str, Edge]
    providers: dict[str, ProviderState]
    seconds: list[Second]
    calls: list[Call]
    trace_url: str | None = None
    policies: dict[str, PolicyReport] = {}
    servers: dict[str, ServerState] = {}
    mirrors: dict[str, MirrorTraffic] = {}
    skipped: int = 0


class Diff(msgspec.Struct, frozen=True, omit_defaults=True):
    """The changes since the previous snapshot or diff: rows that are new or different.

    `gone` has the keys of removed rows by table. `calls` has the new ones, the newest last;
    `skipped` counts the others, where there were too many in one second.
    """

    at: float
    second: int
    workers: int
    config: ConfigStatus | None = None
    hosts: dict[str, Host] = {}
    rules: dict[str, RuleTraffic] = {}
    edges: dict[str, Edge] = {}
    providers: dict[str, ProviderState] = {}
    policies: dict[str, PolicyReport] = {}
    servers: dict[str, ServerState] = {}
    mirrors: dict[str, MirrorTraffic] = {}
    gone: dict[str, list[str]] = {}
    seconds: list[Second] = []
    calls: list[Call] = []
    skipped: int = 0
