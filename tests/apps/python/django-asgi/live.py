import asyncio

from django.conf import settings

settings.configure(SECRET_KEY="not-a-secret-in-a-test", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True)

from django.core.asgi import get_asgi_application
from django.http import StreamingHttpResponse
from django.urls import path

application = get_asgi_application()


async def ticks():
    for number in range(3):
        yield f"tick {number}\n"
        await asyncio.sleep(0.01)


async def index(request):
    return StreamingHttpResponse(ticks(), content_type="text/plain")


urlpatterns = [path("", index)]
