from fastapi import FastAPI, Request

app = FastAPI()


@app.get("/")
async def index(request: Request):
    return f"{request.url.scheme} from {request.client.host}"
