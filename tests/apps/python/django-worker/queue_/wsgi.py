import os

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "queue_.settings")
application = get_wsgi_application()
urlpatterns = [path("", lambda request: HttpResponse("queued"))]
