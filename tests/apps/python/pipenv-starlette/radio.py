from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route


async def station(request):
    return JSONResponse({"station": request.path_params["number"]})


app = Starlette(routes=[Mount("/stations", routes=[Route("/{number:int}", station)])])
