import os
import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer


def allowed(given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]):
    if given is None or not secrets.compare_digest(given.credentials, os.environ["TOKEN"]):
        raise HTTPException(401)


router = APIRouter(dependencies=[Depends(allowed)])


@router.get("/{number}")
def item(number: int, request: Request):
    return {"name": request.app.state.items[number]}
