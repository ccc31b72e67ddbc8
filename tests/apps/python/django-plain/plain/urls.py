from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("hello/<str:name>", lambda request, name: HttpResponse(f"hello {name}"))]
