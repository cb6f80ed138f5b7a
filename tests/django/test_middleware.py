"""The place of the mesh in a project: before ALLOWED_HOSTS, behind others that know the user."""

from __future__ import annotations

import pytest
from django.http import HttpRequest
from django.test import Client, override_settings

from llm_mesh_middleware.testing import FakeUpstream
from tests.contract.calling import HOST, QUESTION, Ask, seen
from tests.django.conftest import Start
from tests.django.meshes import make_mesh
from tests.django.project import (
    AUTHENTICATED,
    COMMON,
    MESH,
    NAME,
    login_cookie,
)


def test_a_virtual_host_need_not_be_an_allowed_one(start: Start) -> None:
    _, call = start()
    assert seen(call(Ask())).status == 200
    assert seen(call(Ask(host="unknown.example"))).status == 400


@pytest.mark.parametrize("reader", ["body", "post", "part"])
def test_a_body_that_an_earlier_middleware_has_read_is_still_there(
    start: Start, upstream: FakeUpstream, reader: str
) -> None:
    _, call = start(MIDDLEWARE=[f"{NAME}.reads_{reader}", MESH, COMMON])
    answer = seen(call(Ask()))
    assert answer.status == (400 if reader == "part" else 200)
    if reader != "part":
        assert upstream.requests[0].json()["messages"] == QUESTION["messages"]


def test_a_path_keeps_its_bytes(start: Start, upstream: FakeUpstream) -> None:
    _, call = start()
    assert seen(call(Ask(path="/%E6%A8%A1%E5%9E%8B/chat/completions"))).status == 200


def plan_of(request: HttpRequest) -> dict[str, str]:
    return {"plan": getattr(request.user, "plan", "free")}


async def aplan_of(request: HttpRequest) -> dict[str, str]:
    return {"plan": getattr(await request.auser(), "plan", "free")}


def is_subscriber(request: HttpRequest) -> bool:
    return plan_of(request)["plan"] == "pro"


async def ais_subscriber(request: HttpRequest) -> bool:
    return (await aplan_of(request))["plan"] == "pro"


@pytest.mark.parametrize("attributes", [plan_of, aplan_of, f"{__name__}.plan_of"])
def test_the_user_of_a_request_can_decide_its_route(start: Start, attributes: object) -> None:
    _, call = start(MIDDLEWARE=list(AUTHENTICATED), attributes=attributes)
    assert seen(call(Ask(headers=[login_cookie()]))).headers["x-llm-mesh-rule"] == "pro"
    assert seen(call(Ask())).headers["x-llm-mesh-rule"] == "rest"


@pytest.mark.parametrize("authorize", [is_subscriber, ais_subscriber])
def test_the_user_of_a_request_can_be_admitted(start: Start, authorize: object) -> None:
    _, call = start(MIDDLEWARE=list(AUTHENTICATED), authorize=authorize)
    forwarded = ("x-forwarded-for", "203.0.113.9")
    assert seen(call(Ask(headers=[forwarded, login_cookie()]))).status == 200
    assert seen(call(Ask(headers=[forwarded]))).status == 403


def test_the_callables_are_asked_about_the_meshs_requests_only(start: Start) -> None:
    asked: list[str] = []

    def attributes(request: HttpRequest) -> dict[str, str]:
        asked.append(request.headers["host"])
        return {}

    _, call = start(attributes=attributes)
    assert seen(call(Ask(host="app.example"))).status == 200
    assert seen(call(Ask())).status == 200
    assert asked == [HOST]


def test_djangos_own_test_client_reaches_the_mesh(upstream: FakeUpstream) -> None:
    mesh = make_mesh(upstream)
    client = Client()
    with override_settings(LLM_MESH={"MESH": mesh}):
        answer = client.post("/", QUESTION, "application/json", headers={"host": HOST})
    assert answer.json()["object"] == "chat.completion"
    mesh.close()
