import logging

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render

from .models import Visit

logger = logging.getLogger("visits")


def index(request):
    Visit.objects.create()
    count = Visit.objects.count()
    logger.info("visit %d", count)
    return render(request, "visits/index.html", {"count": count})


def log(request):
    """Show what this dyno wrote to log/production.log."""
    path = settings.BASE_DIR / "log/production.log"
    return HttpResponse(path.read_text(), content_type="text/plain")


def write(request):
    """Try to write where the query says, below the app, and tell what came of it."""
    path = settings.BASE_DIR / request.GET["path"]
    try:
        path.write_text("hello\n")
    except OSError as error:
        return HttpResponse(f"refused: {error.strerror}\n", status=403, content_type="text/plain")
    return HttpResponse("accepted\n", content_type="text/plain")
