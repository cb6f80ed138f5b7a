"""What `deploy/` holds: linted, rendered and checked by the tools that packages bring.

No container is built and no cluster is asked: neither is to be had where these tests run.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from llm_mesh_middleware import MeshSettings
from llm_mesh_middleware.cli import main
from tests.test_docs import SETTING, command_problem

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def run(name: str, *arguments: object, **environ: str) -> str:
    """Run a tool that `.ci/run` installs to its end and return what it prints."""
    program = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    if program is None:
        pytest.skip(f"{name} is not installed: `.ci/run` installs it")
    done = subprocess.run(
        [program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": str(ROOT), **environ},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text("utf-8")))


def by_kind(rendered: str) -> dict[str, dict[str, Any]]:
    return {each["kind"]: each for each in yaml.safe_load_all(rendered)}


def test_the_dockerfile_passes_its_linter() -> None:
    assert run("hadolint", DEPLOY / "Dockerfile") == ""


def test_the_image_runs_unprivileged_with_a_health_check_and_a_command_that_exists() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    last = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines if " " in line}

    assert last["USER"] == "10001:10001"
    assert "/healthz" in last["HEALTHCHECK"]
    assert last["ENTRYPOINT"] == '["llm-mesh"]'
    assert command_problem(yaml.safe_load(last["CMD"])) is None


def test_the_image_has_all_that_the_package_is_built_from() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Dockerfile").read_text(), re.M)
    names = " ".join(copied).split()
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().split()

    assert [name for name in names if not (ROOT / name).exists()] == []
    assert [name for name in names if f"!{name}" not in allowed] == []


def test_the_composition_is_rendered() -> None:
    rendered = run(
        "docker-compose", "-f", DEPLOY / "compose.yaml", "config", LLM_MESH_CLIENT_KEYS="{}"
    )

    services = yaml.safe_load(rendered)["services"]
    assert set(services) == {"mesh", "valkey", "collector", "prometheus", "grafana"}
    assert services["mesh"]["read_only"] is True


def test_every_file_that_a_container_mounts_is_there() -> None:
    (composition,) = documents("compose.yaml")
    mounted = [
        volume.split(":")[0]
        for service in composition["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith(".")
    ]

    assert [name for name in mounted if not (DEPLOY / name).resolve().exists()] == ["../mesh"]


def test_the_collector_passes_every_signal_on() -> None:
    (collector,) = documents("compose/collector.yaml")
    pipelines = collector["service"]["pipelines"]

    assert set(pipelines) == {"metrics", "traces", "logs"}
    for pipeline in pipelines.values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(collector[part])


def test_the_unit_is_locked_down_and_starts_a_command_that_exists() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd" / "llm-mesh.service")
    service = unit["Service"]

    assert command_problem(service["ExecStart"].split()[1:]) is None
    for name in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "ProtectHome"):
        assert service[name] == "yes"
    assert (service["ProtectSystem"], service["CapabilityBoundingSet"]) == ("strict", "")


@pytest.fixture(scope="module")
def rendered() -> str:
    return run("kubectl", "kustomize", DEPLOY / "kustomize")


def test_the_manifests_of_kubernetes_fit_their_schemas(rendered: str, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(rendered)

    run("kubernetes-validate", "--strict", tmp_path / "all.yaml")


def test_selectors_find_the_pods(rendered: str) -> None:
    found = by_kind(rendered)
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]

    assert all(selector.items() <= labels.items() for selector in selectors)
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "llm-mesh"


def test_the_pod_has_time_to_end_and_no_privilege(rendered: str) -> None:
    pod = by_kind(rendered)["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    arguments = container["args"]

    assert command_problem(arguments) is None
    grace = int(arguments[arguments.index("--grace") + 1])
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > grace + pause
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsNonRoot"] is True


def test_the_manifests_of_the_mesh_validate() -> None:
    path = DEPLOY / "kustomize" / "mesh.yaml"

    result = CliRunner().invoke(main, ["validate", "--no-env", str(path)])

    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_setting_that_is_named_exists(path: Path) -> None:
    fields = {f"LLM_MESH_{name.upper()}" for name in MeshSettings.model_fields}

    assert set(SETTING.findall(path.read_text("utf-8"))) <= fields
