from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

app = FastAPI()


class NothingError(Exception):
    pass


@app.exception_handler(NothingError)
def tell(request: Request, error: NothingError):
    return PlainTextResponse(str(error), 418)


@app.middleware("http")
async def stamp(request: Request, call_next):
    response = await call_next(request)
    response.headers["X-Stamped"] = "yes"
    return response


@app.get("/divide")
def divide(a: float, b: float):
    if not b:
        raise NothingError(f"cannot divide {a} by nothing")
    return a / b
