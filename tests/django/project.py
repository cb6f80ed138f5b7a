"""A Django project: its settings, one view, users that need no database, and its handlers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django
from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import re_path
from django.utils.asyncio import async_unsafe

__all__ = [
    "AUTHENTICATED",
    "COMMON",
    "MESH",
    "NAME",
    "SYNCHRONOUS",
    "login_cookie",
    "make_asgi",
    "make_wsgi",
]

NAME = "tests.django.project"
MESH = "llm_mesh_django.LLMMeshMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
SYNCHRONOUS = f"{NAME}.synchronous"
AUTHENTICATED = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    MESH,
    COMMON,
)

settings.configure(
    SECRET_KEY="only for tests",
    # No virtual host is among them.
    ALLOWED_HOSTS=["app.example", "other.example", "llm.evil.example", "evil-llm"],
    ROOT_URLCONF=NAME,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "llm_mesh_django"],
    MIDDLEWARE=[MESH, COMMON],
    AUTHENTICATION_BACKENDS=[f"{NAME}.Backend"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    LOGGING_CONFIG=None,
)
django.setup()


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse(settings.OWN_ANSWER, content_type="text/plain")


urlpatterns = [re_path("", view)]


class Subscriber:
    """The one user, without a database."""

    pk = 7
    plan = "pro"

    def get_session_auth_hash(self) -> str:
        return "0123456789"


class Backend:
    """Finds the user, and as a database would, not in the thread of an event loop."""

    @async_unsafe
    def get_user(self, user_id: int) -> Subscriber | None:
        return Subscriber() if user_id == Subscriber.pk else None

    async def aget_user(self, user_id: int) -> Subscriber | None:
        return Subscriber() if user_id == Subscriber.pk else None


def login_cookie() -> tuple[str, str]:
    """The header field of the user's session."""
    session = SessionStore()
    session[SESSION_KEY] = str(Subscriber.pk)
    session[BACKEND_SESSION_KEY] = f"{NAME}.Backend"
    session[HASH_SESSION_KEY] = Subscriber().get_session_auth_hash()
    session.save()
    return "cookie", f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def synchronous(get_response: Any) -> Any:
    """A middleware that knows nothing of coroutines."""
    assert not iscoroutinefunction(get_response)

    def call(request: HttpRequest) -> Any:
        return get_response(request)

    return call


def reads_body(get_response: Any) -> Any:
    """A middleware that looks at the body."""
    return _reading(get_response, lambda request: request.body)


def reads_post(get_response: Any) -> Any:
    """A middleware that looks for the fields of a form."""
    return _reading(get_response, lambda request: request.POST)


def reads_part(get_response: Any) -> Any:
    """A middleware that takes the beginning of the body away."""
    return _reading(get_response, lambda request: request.read(3))


def _reading(get_response: Any, read: Callable[[HttpRequest], object]) -> Any:
    def call(request: HttpRequest) -> Any:
        read(request)
        return get_response(request)

    return call


def make_asgi(answer: bytes, mesh: object = None, **options: Any) -> ASGIHandler:
    """The project under ASGI, with a mesh; in capitals other settings of Django."""
    with _configured(answer, mesh, options):
        return ASGIHandler()


def make_wsgi(answer: bytes, mesh: object = None, **options: Any) -> WSGIHandler:
    """The project under WSGI."""
    with _configured(answer, mesh, options):
        return WSGIHandler()


def _configured(answer: bytes, mesh: object, options: dict[str, Any]) -> Any:
    settings.OWN_ANSWER = answer
    own = {name: options.pop(name) for name in list(options) if name.isupper()}
    llm_mesh = {"MESH": mesh} | {name.upper(): value for name, value in options.items()}
    return override_settings(LLM_MESH=llm_mesh, **own)
