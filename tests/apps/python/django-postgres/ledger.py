import dj_database_url
from django.conf import settings

settings.configure(
    SECRET_KEY="not-a-secret-in-a-test",
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": dj_database_url.config(default="sqlite://:memory:")},
    ROOT_URLCONF=__name__,
    USE_TZ=True,
)

from django.core.wsgi import get_wsgi_application
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.urls import path

application = get_wsgi_application()


def index(request):
    its = connection.settings_dict
    try:
        connection.ensure_connection()
        answer = "an answer"
    except OperationalError:
        answer = "no answer"
    return HttpResponse(f"{connection.vendor} {its['NAME']} at {its['HOST']}:{its['PORT']}: {answer}")


urlpatterns = [path("", index)]
