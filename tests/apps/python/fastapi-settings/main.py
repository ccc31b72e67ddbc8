from fastapi import FastAPI
from pydantic import BaseModel
from pydantic_settings import BaseSettings, SettingsConfigDict


class Limits(BaseModel):
    rows: int = 10


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="APP_", env_file=".env")

    name: str
    limits: Limits = Limits()
    debug: bool = False


settings = Settings()
app = FastAPI()


@app.get("/")
def index() -> Settings:
    return settings
