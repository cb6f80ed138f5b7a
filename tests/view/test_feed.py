"""The feed: a snapshot and then diffs, which together are the next snapshot."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
from msgspec.structs import replace

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.observing import ClientRequest, Headers
from llm_mesh_middleware.view._feeding.feed import Feed, apply, difference
from llm_mesh_middleware.view._feeding.merging import merge
from llm_mesh_middleware.view._source import Source
from llm_mesh_middleware.view._watching.hub import Hub
from llm_mesh_middleware.view.values import (
    Call,
    ConfigStatus,
    Diff,
    ProviderReport,
    Report,
    RuleTraffic,
    Snapshot,
    Traffic,
    key_of,
)
from tests.rows import rows
from tests.view.conftest import HOST, SPLIT, VIP, Watched, provider, route

CONFIG = ConfigStatus("ok", 1, 0.0, (), ())


def snapshot(second: int, **changes: object) -> Snapshot:
    made = Snapshot(float(second), second, 1, CONFIG, {}, {}, {}, {}, [], [])
    return replace(made, **changes)


def events_of(data: bytes) -> list[tuple[str, str, bytes]]:
    """The id, name and data of each event."""
    found = []
    for block in data.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields["id"], fields["event"], fields["data"].encode()))
    return found


def rules(drawn: random.Random) -> dict[str, RuleTraffic]:
    return {
        key_of(f"h{drawn.randrange(6)}", "rulé\u2028"): RuleTraffic(
            drawn.randrange(3), 0.0, 0.0, 1, 0, None, None, 0
        )
        for _ in range(4)
    }


@rows("seed", range(20))
def test_a_snapshot_with_its_diffs_is_the_next_snapshot(seed: int) -> None:
    drawn = random.Random(seed)
    calls: list[Call] = []
    seen = current = snapshot(0)
    for second in range(1, 30):
        calls = [
            *calls,
            *(Call(f"1.{second}.{n}", 0.0, "h", 1.0) for n in range(drawn.randrange(4))),
        ]
        rows = [(each, each % 3, 0, 0) for each in range(max(0, second - 299), second)]
        generation = replace(CONFIG, generation=1 + second // 10)
        new = snapshot(
            second, rules=rules(drawn), seconds=rows, calls=calls[-500:], config=generation
        )
        encoded = msgspec.json.encode(difference(current, new))
        seen = apply(seen, msgspec.json.decode(encoded, type=Diff))
        assert seen == new
        current = new


def test_one_diff_is_made_for_all_viewers_of_a_second() -> None:
    taken: list[int] = []

    def take() -> Snapshot:
        taken.append(1)
        return snapshot(len(taken))

    feed = Feed(take)
    positions = [feed.since(None, 10)[0] for _ in range(50)]
    moved = {feed.since(position, 11) for position in positions}
    assert len(taken) == 2
    assert len(moved) == 1


def test_a_viewer_that_comes_back_gets_what_it_has_missed() -> None:
    feed = Feed(lambda: snapshot(0))
    position, _ = feed.since(None, 0)
    for second in range(1, 4):
        feed.since(None, second)
    newest, data = feed.since(position, 3)
    assert [(number, kind) for number, kind, _ in events_of(data)] == [
        (f"{position[:-1]}{number}", "diff") for number in (1, 2, 3)
    ]
    assert feed.since(newest, 3) == (newest, b"")


@rows(
    "position", ["", "-", "deadbeef-0", "x", "0" * 5000, "é-1", "-1--1", "{epoch}-99", "{epoch}-²"]
)
def test_a_viewer_with_an_unknown_position_gets_a_snapshot(position: str) -> None:
    feed = Feed(lambda: snapshot(0))
    known, _ = feed.since(None, 0)
    position = position.replace("{epoch}", known.partition("-")[0])
    _, data = feed.since(position, 1)
    assert [kind for _, kind, _ in events_of(data)] == ["snapshot"]


def test_a_viewer_that_was_away_for_long_gets_a_snapshot() -> None:
    feed = Feed(lambda: snapshot(0))
    position, _ = feed.since(None, 0)
    for second in range(1, 30):
        feed.since(None, second)
    assert [kind for _, kind, _ in events_of(feed.since(position, 30)[1])] == ["snapshot"]


def test_a_flood_of_calls_is_cut_and_counted() -> None:
    calls = [Call(f"1.{n}", 0.0, "h", 1.0) for n in range(450)]
    diff = difference(snapshot(0), snapshot(1, calls=calls))
    assert (len(diff.calls), diff.skipped, diff.calls[-1].id) == (100, 350, "1.449")


def test_of_a_flood_the_calls_that_failed_are_kept() -> None:
    calls = [
        Call(f"1.{n}", 0.0, "h", 1.0, error="503" if n in (3, 7) else None) for n in range(450)
    ]
    diff = difference(snapshot(0), snapshot(1, calls=calls))
    assert [call.id for call in diff.calls][:3] == ["1.3", "1.7", "1.352"]


def test_a_hub_records_no_more_calls_of_a_second_than_anybody_reads(watched: Watched) -> None:
    def call(times: int, status: int = 200) -> None:
        for _ in range(times):
            request = ClientRequest("POST", "/", Headers([]), host=HOST)
            watched.hub(request).ended(status, None, None)

    source = Source(watched.mesh, watched.hub)
    call(150)  # while nobody looked
    first = source.take()
    call(1, 503)
    call(150)
    second = source.take()
    assert (len(first.calls), first.skipped) == (150, 0)
    assert (len(second.calls), second.skipped) == (250, 51)
    assert [call.error for call in second.calls[150:152]] == ["503", None]
    assert len({call.id for call in second.calls}) == 250
    [total] = [each for each in watched.hub.report(after=10**6).traffic if each.key == (HOST,)]
    assert total.durations[0] == 301


def test_reports_of_workers_add_up() -> None:
    def report(worker: int, calls: int, state: str, in_flight: int) -> Report:
        traffic = Traffic(
            (HOST, "r", "a"), (calls, 0, 0), calls, (calls, 1), [0, calls], [], in_flight, 1, 0
        )
        other = Traffic((HOST, "r", "b"), (10, 0, 0), 10, (10, 0), [], [], 0, 0, 0)
        provider = ProviderReport(state, 3.0, 0, 0, in_flight, "503")
        return Report(worker, 0, [], [traffic, other], [(7, calls, 0, 0)], {"a.example": provider})

    reports = [report(1, 20, "healthy", 2), report(2, 10, "ejected", 1)]
    merged = merge(reports, at=0.0, second=8, config=CONFIG, hosts={}, items={}, calls=[])
    edge = merged.edges[key_of(HOST, "r", "a")]
    assert (edge.rate, edge.calls, edge.errors, edge.in_flight) == (6.0, 30, 2, 3)
    assert edge.seen_share == 0.6
    assert merged.seconds == [(7, 30, 0, 0)]
    assert merged.workers == 2


def test_a_source_shows_hosts_rules_backends_and_the_state_of_providers(watched: Watched) -> None:
    source = Source(watched.mesh, watched.hub)
    watched.call()
    taken = source.take()
    host = taken.hosts[HOST]
    assert [rule.name for rule in host.rules] == ["vip", "split"]
    assert host.rules[0].matches == ("headers.user-type.exact 'vip'",)
    assert [(each.provider, each.share) for each in host.rules[1].backends] == [
        ("a", 0.75),
        ("b", 0.25),
    ]
    assert {name: each.state for name, each in taken.providers.items()} == {
        "a.example": "healthy",
        "b.example": "healthy",
    }
    assert [call.rule for call in taken.calls] == ["split"]
    assert len(source.take().calls) == 1


def test_a_reload_says_what_it_has_changed(tmp_path: Path) -> None:
    manifest = tmp_path / "mesh.yaml"
    documents = (provider("a", "http://127.0.0.1:9"), provider("b", "http://127.0.0.1:9"))

    def write(*rules: object) -> None:
        every = (*documents, route(*rules))
        texts = (each.model_dump_json(by_alias=True, exclude_unset=True) for each in every)
        manifest.write_text("\n---\n".join(texts))

    write(VIP, SPLIT)
    environ = {"NOTHING": ""}
    mesh = Mesh([manifest], settings=MeshSettings(), environ=environ)
    source = Source(mesh, Hub(mesh))
    assert source.take().config.changes == ()
    write({**VIP, "matches": []}, {**SPLIT, "name": "other"})
    mesh.reload()
    config = source.take().config
    [change] = config.changes
    assert (config.generation, change.generation) == (2, 2)
    assert change.added == (f"{HOST}: other",)
    assert change.removed == (f"{HOST}: split",)
    assert change.changed == (f"{HOST}: vip",)
    manifest.write_text("kind: LLMRoute")
    mesh.reload()
    broken = source.take().config
    assert (broken.state, broken.generation) == ("stale", 2)
    assert broken.problems[0].place.startswith(f"{manifest}:1")
    mesh.close()
