"""Files, directories and models as sources, and what is left when they are applied."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from llm_mesh_middleware._manifest import Resource
from llm_mesh_middleware.config import LLMProvider, LLMProviderSpec, LLMRoute, ObjectMeta
from llm_mesh_middleware.settings import MeshSettings
from llm_mesh_middleware.sources import ConfigSource, FileSource, ModelSource, apply, source_of
from tests.canaries import canary
from tests.config.documents import PROVIDER_HEAD, provider, route

MANIFESTS = Path(__file__).parents[2] / "llm_mesh_middleware" / "cli" / "manifests"
KEYS = {
    "YOUR_DASHSCOPE_API_KEY": canary("first source"),
    "YOUR_MOONSHOT_API_KEY": canary("second source"),
}


def named(name: str, host: str = "a.example") -> str:
    return provider(f"host: {host}").replace("acme", name)


def model(name: str, host: str, namespace: str | None = None) -> LLMProvider:
    return LLMProvider(
        metadata=ObjectMeta(name=name, namespace=namespace), spec=LLMProviderSpec(host=host)
    )


def names(*paths: Path) -> list[str]:
    manifest = FileSource(paths, environ={}).load()
    assert manifest.problems == ()
    return [resource.name for resource in manifest.resources]


def test_the_six_manifests_load_unchanged() -> None:
    manifest = FileSource([MANIFESTS], environ=KEYS).load()
    assert manifest.problems == ()
    assert [(resource.model.kind, resource.name) for resource in manifest.resources] == [
        ("LLMProvider", "dashscope-qwen"),
        ("LLMRoute", "dashscope-route"),
        ("LLMProvider", "moonshot"),
        ("LLMRoute", "demo-llm-server"),
    ]
    assert {resource.namespace for resource in manifest.resources} == {"default"}


def test_the_later_of_the_six_manifests_wins_and_keeps_the_place_of_the_first() -> None:
    qwen = FileSource([MANIFESTS], environ=KEYS).load().resources[0]
    assert Path(qwen.source).name == "03-LLMProvider-scenario1.yaml"
    assert isinstance(qwen.model, LLMProvider)
    vip = qwen.model.spec.configs.route_specific_configs["vip-route"].open_ai_config
    assert vip is not None
    assert vip.api_key is not None
    assert (vip.model, vip.api_key.get_secret_value()) == ("qwen-turbo", canary("first source"))


def test_without_their_keys_the_six_manifests_name_each_missing_variable() -> None:
    problems = FileSource([MANIFESTS], environ={}).load().problems
    assert [(Path(p.source).name, p.line, p.column) for p in problems] == [
        ("01-LLMProvider.yaml", 12, 17),
        ("03-LLMProvider-scenario1.yaml", 12, 17),
        ("03-LLMProvider-scenario1.yaml", 17, 19),
        ("04-LLMProvider-moonshot.yaml", 13, 17),
    ]


def test_a_directory_is_read_in_file_name_order_without_hidden_and_other_files(
    tmp_path: Path,
) -> None:
    for name in ("b.yaml", "a.yml", "10.yaml", ".hidden.yaml", "notes.txt", "c.json"):
        (tmp_path / name).write_text(named(name.replace(".", "-").strip("-")))
    (tmp_path / "below.yaml").mkdir()
    (tmp_path / "below.yaml" / "x.yaml").write_text(named("x"))
    assert names(tmp_path) == ["10-yaml", "a-yml", "b-yaml", "c-json"]


def test_a_mounted_config_map_is_read_through_its_links(tmp_path: Path) -> None:
    generation = tmp_path / "..2024_01_01"
    generation.mkdir()
    (generation / "mesh.yaml").write_text(named("mounted"))
    (tmp_path / "..data").symlink_to(generation.name)
    (tmp_path / "mesh.yaml").symlink_to(Path("..data", "mesh.yaml"))
    assert names(tmp_path) == ["mounted"]


def test_paths_are_read_in_their_order(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(named(name))
    assert names(tmp_path / "b.yaml", tmp_path / "a.yaml") == ["b", "a"]


def test_a_source_reads_anew_every_time(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(named("first"))
    source = FileSource([path], environ={})
    path.write_text(named("second"))
    assert [resource.name for resource in source.load().resources] == ["second"]


def test_what_cannot_be_read_is_a_problem_beside_what_can(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(named("good"))
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb\xc3\xa4: \xe4\n")
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    (tmp_path / "empty").mkdir()
    manifest = FileSource(
        [tmp_path, tmp_path / "missing.yaml", tmp_path / "empty", "a\0b"], environ={}
    ).load()
    assert [resource.name for resource in manifest.resources] == ["good"]
    assert [
        (os.path.basename(p.source), p.line, p.column, p.message) for p in manifest.problems
    ] == [
        ("gone.yaml", 0, 0, "cannot be read: No such file or directory"),
        ("latin.yaml", 2, 5, "is not UTF-8: save the file in that encoding"),
        ("missing.yaml", 0, 0, "cannot be read: No such file or directory"),
        ("empty", 0, 0, "the directory has no *.yaml, *.yml or *.json file"),
        ("a\0b", 0, 0, "cannot be read: embedded null byte"),
    ]


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="no files for descriptors here")
def test_a_pipe_that_was_read_before_is_told_apart_from_an_empty_file() -> None:
    reading, writing = os.pipe()
    os.write(writing, named("piped").encode())
    os.close(writing)
    try:
        source = FileSource([f"/dev/fd/{reading}"], environ={})
        assert [resource.name for resource in source.load().resources] == ["piped"]
        (problem,) = source.load().problems
    finally:
        os.close(reading)
    assert "nothing is in this pipe" in problem.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.touch(mode=0)
    (problem,) = FileSource([path], environ={}).load().problems
    assert problem.message == "cannot be read: Permission denied"


def test_problems_and_broken_hosts_of_all_files_come_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(named(name, host=f"{name}.example\npath: x"))
    manifest = FileSource([tmp_path], environ={}).load()
    assert [os.path.basename(problem.source) for problem in manifest.problems] == [
        "a.yaml",
        "b.yaml",
    ]
    assert manifest.broken_hosts == {"a.example", "b.example"}


def test_documents_without_namespace_are_in_the_default_one(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(
        named("a") + "---\n" + named("b").replace("  name: b", "  name: b\n  namespace: own")
    )
    manifest = FileSource([tmp_path], environ={}, default_namespace="team").load()
    assert [resource.namespace for resource in manifest.resources] == ["team", "own"]


def test_apply_keeps_one_of_a_kind_namespace_and_name() -> None:
    resources = [
        Resource.of(made)
        for made in (
            model("a", "one.example"),
            model("b", "two.example"),
            model("a", "three.example", "default"),
            model("a", "four.example", "other"),
        )
    ]
    applied = apply(resources)
    hosts = [resource.model.spec.host for resource in applied]
    assert hosts == ["three.example", "two.example", "four.example"]


def test_models_made_in_python_are_a_source() -> None:
    source = ModelSource([model("a", "one.example"), model("a", "two.example")])
    assert isinstance(source, ConfigSource)
    (resource,) = source.load().resources
    assert resource.model.spec.host == "two.example"
    problem = resource.problem(("spec", "host"), "is taken")
    assert (str(problem), problem.line) == ("<python>: spec.host: is taken", 0)


@pytest.mark.parametrize(
    ("path", "place", "field"),
    [
        (("spec", "rules", 0, "backendRefs", 1), (10, 7), "spec.rules[0].backendRefs[1]"),
        (("spec", "rules", 0, "backendRefs"), (9, 5), "spec.rules[0].backendRefs"),
        (("spec", "rules", 0, "name"), (8, 5), "spec.rules[0].name"),
        (("spec", "rules", 7, "name"), (8, 3), "spec.rules[7].name"),
        (("spec", "host"), (6, 9), "spec.host"),
        ((), (1, 1), ""),
    ],
)
def test_a_resource_knows_where_its_fields_are(
    tmp_path: Path, path: tuple[str | int, ...], place: tuple[int, int], field: str
) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(
        route(
            "host: a.example\nrules:\n- backendRefs:\n"
            "  - {providerHost: a, weight: 1}\n  - {providerHost: b}"
        )
    )
    (resource,) = FileSource([file], environ={}).load().resources
    assert isinstance(resource.model, LLMRoute)
    problem = resource.problem(path, "is odd", severity="warning")
    assert (problem.source, problem.line, problem.column) == (str(file), *place)
    assert (problem.field, problem.message, problem.severity) == (field, "is odd", "warning")


def test_a_document_head_alone_is_a_broken_provider(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(PROVIDER_HEAD)
    manifest = FileSource([tmp_path], environ={}).load()
    assert (manifest.resources, len(manifest.problems)) == ((), 1)


def test_a_copy_that_kept_its_name_is_warned_about(tmp_path: Path) -> None:
    for file, text in {
        "a": named("one"),
        "b": named("one", "b.example"),
        "c": named("two"),
    }.items():
        (tmp_path / f"{file}.yaml").write_text(text)
    manifest = FileSource([tmp_path], environ={}).load()
    (problem,) = manifest.problems
    assert (problem.source, problem.severity) == (str(tmp_path / "b.yaml"), "warning")
    assert problem.text == (
        "metadata.name: LLMProvider 'one' replaces the one of this name for 'a.example', at"
        f" {tmp_path / 'a.yaml'}:{problem.line}:{problem.column}; give it another name to have both"
    )


def test_models_beside_files_are_applied_after_them(tmp_path: Path) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(named("one") + "\n---\n" + named("two", "b.example"))
    source = source_of([file, model("one", "new.example")], MeshSettings(), {})
    resources = source.load().resources
    assert [(resource.name, resource.model.spec.host) for resource in resources] == [  # type: ignore[union-attr]
        ("one", "new.example"),
        ("two", "b.example"),
    ]
    before = source.fingerprint()
    file.write_text(named("three"))
    assert source.fingerprint() != before


@pytest.mark.parametrize("config", [5, b"mesh.yaml", {"kind": "LLMProvider"}, [{"kind": "x"}]])
def test_what_is_neither_a_path_nor_a_model_is_an_error(config: Any) -> None:
    with pytest.raises(TypeError, match="config must be a path, a source .*, not (int|bytes|dict)"):
        source_of(config, MeshSettings())
