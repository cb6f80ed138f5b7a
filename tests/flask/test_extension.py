"""The Flask extension: its configuration, what the application knows, several applications."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import flask
import pytest

from llm_mesh_flask import LLMMesh
from llm_mesh_middleware import ConfigError, Mesh, MeshSettings
from llm_mesh_middleware.testing import FakeUpstream
from tests.conftest import DASHSCOPE, MANIFESTS
from tests.contract.calling import HOST, QUESTION
from tests.flask.application import make
from tests.resilience.meshes import PRIMARY, key_of, provider, route

PRO = {"name": "pro", "matches": [{"attributes": {"plan": {"exact": "pro"}}}]}


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=key_of("primary")) as upstream:
        yield upstream


@pytest.fixture
def mesh(upstream: FakeUpstream) -> Iterator[Mesh]:
    mesh = Mesh((provider("primary", upstream), route(PRIMARY, matches=PRO["matches"])))
    yield mesh
    mesh.close()


def test_the_configuration_of_the_application_goes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_MESH_ACCESS", "keys")
    monkeypatch.setenv("LLM_MESH_IDLE_TIMEOUT", "7")
    app = make(LLM_MESH_ACCESS="open", LLM_MESH_CONFIG=MANIFESTS, LLM_MESH_CA_FILE=None)
    with app.app_context():
        settings = app.extensions["llm_mesh"].mesh.settings
    assert (settings.access, settings.idle_timeout) == ("open", 7)
    assert settings.config == (str(MANIFESTS),)


def test_manifests_and_settings_can_be_given_as_elsewhere() -> None:
    app = make(config=MANIFESTS, settings=MeshSettings(access="open"), LLM_MESH_ACCESS="keys")
    with app.app_context():
        mesh = app.extensions["llm_mesh"].mesh
    assert mesh.settings.access == "open"
    assert mesh.find(DASHSCOPE.encode()) is not None


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {"LLM_MESH_ACESS": "open"},
            "LLM_MESH_ACESS: unknown setting; did you mean `LLM_MESH_ACCESS`?",
        ),
        ({"LLM_MESH_ACCESS": "closed"}, "LLM_MESH_ACCESS: must be"),
        ({"LLM_MESH_CONFIG": "no-such.yaml"}, "no-such.yaml: "),
    ],
)
def test_a_wrong_configuration_ends_the_start(config: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(**config)
    assert str(caught.value).startswith(told)


def test_two_applications_may_share_an_extension() -> None:
    extension = LLMMesh()
    apps = [flask.Flask("one"), flask.Flask("two")]
    for app, access in zip(apps, ("open", "keys"), strict=True):
        app.config["LLM_MESH_ACCESS"] = access
        extension.init_app(app)
    found = []
    for app in apps:
        with app.app_context():
            found.append(extension.mesh.settings.access)
    assert found == ["open", "keys"]
    assert all(app.extensions["llm_mesh"] is extension for app in apps)


def test_an_application_has_one_mesh() -> None:
    app = make()
    with pytest.raises(RuntimeError, match="has an LLMMesh already"):
        LLMMesh(app)


def test_the_session_of_a_request_can_decide_its_route(mesh: Mesh) -> None:
    def plan_of(request: flask.Request) -> dict[str, str]:
        assert request.headers["host"] == HOST
        return {"plan": flask.session.get("plan", "free")}

    client = make(mesh=mesh, attributes=plan_of, SECRET_KEY="only for tests").test_client()
    with client.session_transaction(base_url=f"http://{HOST}") as session:
        session["plan"] = "pro"
    assert client.post(f"http://{HOST}/", json=QUESTION).status_code == 200
    client.delete_cookie("session", domain=HOST)
    answer = client.post(f"http://{HOST}/", json=QUESTION)
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "route_not_found")  # type: ignore[index]


def test_what_a_request_context_holds_is_torn_down(mesh: Mesh) -> None:
    app = make(mesh=mesh, attributes=lambda request: {"plan": "pro"})
    torn_down = []
    app.teardown_request(lambda error: torn_down.append(error))
    assert app.test_client().post(f"http://{HOST}/", json=QUESTION).status_code == 200
    assert torn_down == [None]


def test_a_virtual_host_need_not_be_a_trusted_one(mesh: Mesh) -> None:
    app = make(mesh=mesh, attributes=lambda request: {"plan": "pro"}, TRUSTED_HOSTS=["app.example"])
    client = app.test_client()
    assert client.post(f"http://{HOST}/", json=QUESTION).status_code == 200
    assert client.get("http://app.example/").data == b"from the application"
    assert client.get("http://unknown.example/").status_code == 400


def test_the_callables_are_asked_about_the_meshs_requests_only(mesh: Mesh) -> None:
    asked: list[str] = []

    def authorize(request: flask.Request) -> bool:
        asked.append(request.path)
        return False

    client = make(mesh=mesh, authorize=authorize).test_client()
    forwarded = {"x-forwarded-for": "203.0.113.9"}
    assert client.get("http://app.example/own", headers=forwarded).status_code == 200
    assert client.post(f"http://{HOST}/ours", headers=forwarded).status_code == 403
    assert asked == ["/ours"]


def test_a_wrong_configuration_names_its_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text("apiVersion: istio.alibabacloud.com/v1\nkind: LLMProvider\nspec: {hots: x}\n")
    with pytest.raises(ConfigError, match=r"mesh\.yaml:3:8: spec\.hots: .*did you mean `host`"):
        make(LLM_MESH_CONFIG=path)
