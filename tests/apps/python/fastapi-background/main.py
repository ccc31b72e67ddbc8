import asyncio
from pathlib import Path

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()
LOG = Path(__file__).parent / "log/mail.txt"


def send(to: str):
    draft = LOG.with_suffix(".new")
    draft.write_text(f"sent to {to}\n")
    draft.rename(LOG)


@app.post("/mails", status_code=202)
async def mail(to: str, tasks: BackgroundTasks):
    tasks.add_task(send, to)
    return "soon"


@app.get("/mails", response_class=PlainTextResponse)
async def last():
    while not LOG.exists():
        await asyncio.sleep(0.01)
    return LOG.read_text()
