from bottle import abort, get, post, request

PASTES = []


@post("/paste")
def paste():
    PASTES.append(request.body.read().decode())
    return f"/paste/{len(PASTES)}"


@get("/paste/<number:int>")
def show(number):
    if number > len(PASTES):
        abort(404)
    return PASTES[number - 1]
