import asyncio

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, StreamingResponse
from starlette.routing import Route


async def numbers():
    for number in range(2):
        yield f"data: {number}\n\n"
        await asyncio.sleep(0.01)


def events(request):
    return StreamingResponse(numbers(), media_type="text/event-stream")


def old(request):
    return RedirectResponse("/events")


app = Starlette(routes=[Route("/events", events), Route("/old", old)], middleware=[Middleware(GZipMiddleware)])
