from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from .items import router


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.items = {1: "lamp"}
    yield
    app.state.items.clear()


def create() -> FastAPI:
    app = FastAPI(lifespan=lifespan)
    app.include_router(router, prefix="/items")

    @app.get("/health")
    def health(request: Request):
        return f"{len(request.app.state.items)} item"

    return app
