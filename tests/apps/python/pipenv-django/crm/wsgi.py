import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
application = get_wsgi_application()

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
