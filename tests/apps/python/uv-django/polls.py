from pathlib import Path

from django.conf import settings

HERE = Path(__file__).resolve().parent
settings.configure(
    SECRET_KEY="not-a-secret-in-a-test",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.staticfiles"],
    MIDDLEWARE=["whitenoise.middleware.WhiteNoiseMiddleware"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    STATIC_URL="static/",
    STATIC_ROOT=HERE / "staticfiles",
    STATICFILES_DIRS=[HERE / "assets"],
)

from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpResponse
from django.urls import path

application = get_wsgi_application()
POLLS = {1: "Tea or coffee?", 2: "Cats or dogs?"}


def poll(request, number):
    if number not in POLLS:
        raise Http404
    return HttpResponse(POLLS[number])


urlpatterns = [path("polls/<int:number>", poll)]
