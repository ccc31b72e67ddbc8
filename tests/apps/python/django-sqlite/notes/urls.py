from django.http import HttpResponse
from django.urls import path

from .models import Note


def notes(request):
    if request.method == "POST":
        Note.objects.create(text=request.GET["text"])
        return HttpResponse(status=201)
    return HttpResponse("".join(f"{note.pk}: {note.text}\n" for note in Note.objects.order_by("pk")))


urlpatterns = [path("", notes)]
