import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
application = get_wsgi_application()


def index(request):
    name = os.environ["DJANGO_SETTINGS_MODULE"].rpartition(".")[2]
    return HttpResponse(f"{name}, debug={settings.DEBUG}")


urlpatterns = [path("", index)]
