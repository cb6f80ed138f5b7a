"""The LLM_MESH setting, over the environment, and what `manage.py check` says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core import checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.http import HttpRequest
from django.test import override_settings

from llm_mesh_django import LLMMeshMiddleware, get_mesh
from llm_mesh_django.conf import read_options
from llm_mesh_middleware import ConfigError, Mesh
from tests.conftest import MANIFESTS
from tests.django.project import COMMON, MESH
from tests.rows import rows

BROKEN = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata:
  name: dashscope
spec:
  host: dashscope.aliyuncs.com
  paht: /v1/chat/completions
"""

SOUND = BROKEN.replace("paht", "path") + "  configs:\n    defaultConfig: {}\n"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "mesh.yaml"
    path.write_text(BROKEN)
    return path


def found(**setting: object) -> list[checks.CheckMessage]:
    with override_settings(LLM_MESH=setting):
        return checks.run_checks(tags=["llm_mesh"])


def problems(**setting: object) -> list[str]:
    with override_settings(LLM_MESH=setting), pytest.raises(ConfigError) as caught:
        read_options()
    return [str(problem) for problem in caught.value.problems]


def test_a_setting_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MESH_ACCESS", "keys")
    monkeypatch.setenv("LLM_MESH_IDLE_TIMEOUT", "7")
    with override_settings(LLM_MESH={"ACCESS": "open", "CONFIG": [MANIFESTS]}):
        settings = get_mesh().settings
    assert (settings.access, settings.idle_timeout) == ("open", 7)
    assert settings.config == (str(MANIFESTS),)


def test_there_is_one_mesh_for_one_setting() -> None:
    with override_settings(LLM_MESH={"ACCESS": "open"}):
        assert get_mesh() is get_mesh()
        first = get_mesh()
    with override_settings(LLM_MESH={"ACCESS": "keys"}):
        assert get_mesh() is not first


def test_a_mesh_can_be_named_by_its_path() -> None:
    with override_settings(LLM_MESH={"MESH": f"{__name__}.shared"}):
        assert get_mesh() is shared


shared = Mesh(())


@rows(
    ("setting", "told"),
    [
        (
            {"ACESS": "open"},
            'LLM_MESH["ACESS"]: unknown setting; did you mean `LLM_MESH["ACCESS"]`?',
        ),
        (
            {"ATRIBUTES": len},
            'LLM_MESH["ATRIBUTES"]: unknown setting; did you mean `LLM_MESH["ATTRIBUTES"]`?',
        ),
        (
            {"access": "open"},
            'LLM_MESH["access"]: unknown setting; did you mean `LLM_MESH["ACCESS"]`?',
        ),
        ({"ATTRIBUTES": 7}, 'LLM_MESH["ATTRIBUTES"]: must be a callable that takes the request'),
        ({"AUTHORIZE": "no.such.word"}, 'LLM_MESH["AUTHORIZE"]: cannot be imported: '),
        ({"MESH": 7}, 'LLM_MESH["MESH"]: must be a Mesh'),
        ({"IDLE_TIMEOUT": -1}, 'LLM_MESH["IDLE_TIMEOUT"]: must be'),
    ],
)
def test_a_wrong_setting_is_named_as_it_is_written(setting: dict[str, object], told: str) -> None:
    (problem,) = problems(**setting)
    assert problem.startswith(told)


def test_all_that_is_wrong_with_the_settings_is_told_at_once() -> None:
    assert len(problems(ACESS="open", IDLE_TIMEOUT=-1, MESH=7)) == 3


def test_a_client_key_is_in_no_message() -> None:
    (problem,) = problems(CLIENT_KEYS={"reporting": "ck secret\n"})
    assert "secret" not in problem


def test_a_wrong_variable_is_named_as_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MESH_IDLE_TIMEOUT", "-1")
    (problem,) = problems(ACCESS="open")
    assert problem.startswith("LLM_MESH_IDLE_TIMEOUT: ")


def test_a_configuration_that_cannot_be_used_ends_the_start(broken: Path) -> None:
    with override_settings(LLM_MESH={"CONFIG": broken}), pytest.raises(ConfigError, match=r":7:"):
        LLMMeshMiddleware(lambda request: None)


def test_a_sound_configuration_has_no_message() -> None:
    assert found(CONFIG=MANIFESTS) == []


def test_a_check_tells_the_file_and_the_line(broken: Path) -> None:
    (error,) = found(CONFIG=broken)
    assert (error.id, error.level) == ("llm_mesh.E001", checks.ERROR)
    assert error.msg.startswith(f"{broken}:7:")
    assert "did you mean `path`" in error.msg
    assert error.hint is not None
    assert str(broken) in error.hint


def test_manage_py_check_fails_for_a_broken_manifest(broken: Path) -> None:
    with (
        override_settings(LLM_MESH={"CONFIG": broken}),
        pytest.raises(SystemCheckError, match=r"llm_mesh\.E001.*mesh\.yaml:7:"),
    ):
        call_command("check")


@pytest.mark.parametrize(
    "setting", [{"ACESS": "open"}, {"CA_FILE": "no-such.pem"}], ids=["unknown", "CA file"]
)
def test_a_check_tells_of_settings(setting: dict[str, object]) -> None:
    assert [message.id for message in found(**setting)] == ["llm_mesh.E002"]


def test_a_warning_of_a_manifest_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(
        SOUND + "    routeSpecificConfigs: {no-such-rule: {openAIConfig: {model: m}}}\n"
    )
    messages = found(CONFIG=path)
    assert [(message.id, message.level) for message in messages] == [
        ("llm_mesh.W001", checks.WARNING)
    ]


SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"


def by_user(request: HttpRequest) -> dict[str, str]:
    return {"user": str(request.user)}


async def by_session(request: HttpRequest) -> bool:
    return bool(await request.session.aget("plan"))


def by_header(request: HttpRequest) -> dict[str, str]:
    return {"plan": request.headers.get("plan", "")}


@rows(
    ("order", "setting", "told"),
    [
        ([MESH, SESSIONS, AUTH, COMMON], {"ATTRIBUTES": by_user}, ["request.user"]),
        ([MESH, COMMON], {"ATTRIBUTES": by_user}, ["request.user"]),
        ([SESSIONS, AUTH, MESH, COMMON], {"ATTRIBUTES": by_user, "AUTHORIZE": by_session}, []),
        ([MESH, SESSIONS], {"AUTHORIZE": by_session}, ["request.session"]),
        (
            [MESH, SESSIONS, AUTH],
            {"ATTRIBUTES": f"{__name__}.by_user", "AUTHORIZE": by_session},
            ["request.user", "request.session"],
        ),
        ([MESH, SESSIONS, AUTH, COMMON], {"ATTRIBUTES": by_header}, []),
        ([SESSIONS, AUTH], {"ATTRIBUTES": by_user}, []),
    ],
)
def test_a_callable_that_runs_before_what_it_reads_is_told_of(
    order: list[str], setting: dict[str, object], told: list[str]
) -> None:
    with override_settings(MIDDLEWARE=order, ALLOWED_HOSTS=["*"]):
        messages = found(**setting)
    assert [message.id for message in messages] == ["llm_mesh.W003"] * len(told)
    assert [name in message.msg for name, message in zip(told, messages, strict=True)] == [
        True
    ] * len(told)


@rows(
    ("order", "hosts", "ids"),
    [
        ([MESH, COMMON], ["app.example"], []),
        ([COMMON, MESH], ["app.example"], ["llm_mesh.W002"]),
        ([COMMON, MESH], ["*"], []),
        ([COMMON], ["app.example"], []),
    ],
)
def test_a_middleware_that_would_refuse_virtual_hosts_is_told_of(
    order: list[str], hosts: list[str], ids: list[str]
) -> None:
    with override_settings(MIDDLEWARE=order, ALLOWED_HOSTS=hosts):
        assert [message.id for message in found()] == ids
