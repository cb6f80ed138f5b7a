"""A Django project in one file: the plan of `request.user` decides which model answers."""

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path


@dataclass(frozen=True)
class User:
    """Stands for the project's own; django.contrib.auth would want a database here."""

    name: str
    plan: str


USERS = {"token-of-ada": User("ada", "pro"), "token-of-bob": User("bob", "free")}


def sign_in(get_response):
    """Say who asks, as `AuthenticationMiddleware` would."""

    def middleware(request):
        request.user = USERS.get(request.headers.get("X-Token", ""))
        return get_response(request)

    return middleware


def facts(request: HttpRequest) -> dict[str, str]:
    """What the rules may know of a request."""
    return {"user": request.user.name, "plan": request.user.plan} if request.user else {}


def is_signed_in(request: HttpRequest) -> bool:
    """Who may use the mesh."""
    return request.user is not None


def index(request: HttpRequest) -> JsonResponse:
    """Everything that is not for the host `chat` is answered by the project."""
    return JsonResponse({"message": "Hello from the project"})


urlpatterns = [path("", index)]
settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    MIDDLEWARE=[f"{__name__}.sign_in", "llm_mesh_django.LLMMeshMiddleware"],
    LLM_MESH={
        "CONFIG": str(Path(__file__).with_name("mesh.yaml")),
        "ACCESS": "keys",  # nobody but those whom `is_signed_in` lets in
        "ATTRIBUTES": facts,
        "AUTHORIZE": is_signed_in,
    },
)
application = get_wsgi_application()
