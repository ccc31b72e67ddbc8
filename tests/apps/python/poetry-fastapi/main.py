from fastapi import FastAPI
from pydantic import BaseModel


class Shown(BaseModel):
    name: str


class Person(Shown):
    password: str


app = FastAPI()


@app.post("/people")
def add(person: Person) -> Shown:
    return person
