import os

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.templatetags.static import static
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_.settings")
application = get_wsgi_application()


def index(request):
    return HttpResponse(f'<link rel="stylesheet" href="{static("site.css")}"><h1>White noise</h1>')


urlpatterns = [path("", index)]
