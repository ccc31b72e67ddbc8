from pathlib import Path

from django.conf import settings

settings.configure(
    SECRET_KEY="not-a-secret-in-a-test",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.staticfiles", "rest_framework"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    STATIC_URL="static/",
    STATIC_ROOT=Path(__file__).resolve().parent / "staticfiles",
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "UNAUTHENTICATED_USER": None,
    },
)

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView


class Book(serializers.Serializer):
    title = serializers.CharField()
    year = serializers.IntegerField()


class Books(APIView):
    def get(self, request):
        return Response(Book([{"title": "Dune", "year": 1965}], many=True).data)

    def post(self, request):
        book = Book(data=request.data)
        book.is_valid(raise_exception=True)
        return Response(book.data, status=201)


urlpatterns = [path("books", Books.as_view())]
