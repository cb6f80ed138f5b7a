"""A Django project: its settings, one view, users that need no database, and its handlers."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.test import override_settings

MESH = "llm_mesh_django.LLMMeshMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"

settings.configure(
    SECRET_KEY="only for tests",
    # No virtual host is among them.
    ALLOWED_HOSTS=["app.example", "other.example", "llm.evil.example", "evil-llm"],
    ROOT_URLCONF="tests.django.project",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "llm_mesh_django"],
    MIDDLEWARE=[MESH, COMMON],
    AUTHENTICATION_BACKENDS=["tests.django.project.Backend"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    LOGGING_CONFIG=None,
)
django.setup()

from asgiref.sync import iscoroutinefunction  # noqa: E402 - after the set-up
from django.contrib.auth import (  # noqa: E402
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
)
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.backends.signed_cookies import SessionStore  # noqa: E402
from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import re_path  # noqa: E402
from django.utils.asyncio import async_unsafe  # noqa: E402

__all__ = ["COMMON", "MESH", "Backend", "login_cookie", "make_asgi", "make_wsgi", "user"]


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse(settings.OWN_ANSWER, content_type="text/plain")


urlpatterns = [re_path("", view)]
user = User(pk=7, username="ada", first_name="pro")


class Backend:
    """Finds its users in memory, and as a database would, not in the thread of an event loop."""

    @async_unsafe
    def get_user(self, user_id: int) -> User | None:
        return user if user_id == user.pk else None


def login_cookie() -> str:
    """The cookie header of a session of `user`."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "tests.django.project.Backend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def synchronous(get_response: Any) -> Any:
    """A middleware that knows nothing of coroutines."""
    assert not iscoroutinefunction(get_response)
    return lambda request: get_response(request)


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
