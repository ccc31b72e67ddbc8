from werkzeug.wrappers import Request, Response


@Request.application
def app(request):
    return Response("".join(f"{file.filename}: {len(file.read())} bytes\n" for file in request.files.values()))
