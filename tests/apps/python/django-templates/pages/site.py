import os

from django import forms
from django.core.wsgi import get_wsgi_application
from django.shortcuts import render
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pages.settings")
application = get_wsgi_application()


class Party(forms.Form):
    guests = forms.IntegerField(min_value=1)


def index(request):
    form = Party(request.GET)
    return render(request, "index.html", {"form": form, "valid": form.is_valid()})


urlpatterns = [path("", index)]
