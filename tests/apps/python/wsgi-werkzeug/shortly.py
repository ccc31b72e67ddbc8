import os

from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.serving import run_simple
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

URLS = []
RULES = Map([Rule("/", endpoint="add", methods=["POST"]), Rule("/<int:number>", endpoint="follow")])


def add(request):
    URLS.append(request.get_data(as_text=True))
    return Response(f"/{len(URLS)}", 201)


def follow(request, number):
    if not 0 < number <= len(URLS):
        raise NotFound
    return redirect(URLS[number - 1])


@Request.application
def app(request):
    try:
        endpoint, values = RULES.bind_to_environ(request.environ).match()
        return {"add": add, "follow": follow}[endpoint](request, **values)
    except HTTPException as error:
        return error


if __name__ == "__main__":
    run_simple("0.0.0.0", int(os.environ["PORT"]), app, threaded=True)
