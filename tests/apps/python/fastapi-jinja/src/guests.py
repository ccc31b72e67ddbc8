from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Form, Request
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

HERE = Path(__file__).parent
app = FastAPI()
app.mount("/static", StaticFiles(directory=HERE / "static"))
pages = Jinja2Templates(directory=HERE)


@app.get("/")
def index(request: Request):
    return pages.TemplateResponse(request, "guests.html", {"name": None})


@app.post("/")
def welcome(request: Request, name: Annotated[str, Form()]):
    return pages.TemplateResponse(request, "guests.html", {"name": name})
