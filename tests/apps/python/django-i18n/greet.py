import datetime
from pathlib import Path

from django.conf import settings

settings.configure(
    SECRET_KEY="not-a-secret-in-a-test",
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.locale.LocaleMiddleware"],
    ROOT_URLCONF=__name__,
    LANGUAGES=[("en", "English"), ("de", "Deutsch")],
    LOCALE_PATHS=[Path(__file__).resolve().parent / "locale"],
    USE_TZ=True,
)

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from django.utils.formats import date_format
from django.utils.translation import gettext

application = get_wsgi_application()


def index(request):
    day = date_format(datetime.date(2026, 3, 2), "l j F Y")
    return HttpResponse(f"{gettext('Good day')}, {day}")


urlpatterns = [path("", index)]
