from django.conf import settings

settings.configure(
    SECRET_KEY="not-a-secret-in-a-test",
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    ROOT_URLCONF=__name__,
    USE_TZ=True,
)

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, HttpResponseBadRequest
from django.urls import path

application = get_wsgi_application()


def vote(request, answer):
    if answer not in {"yes", "no"}:
        return HttpResponseBadRequest("yes or no")
    before = request.session.get("vote", "nothing")
    request.session["vote"] = answer
    return HttpResponse(f"you said {answer}, after {before}")


urlpatterns = [path("vote/<str:answer>", vote)]
