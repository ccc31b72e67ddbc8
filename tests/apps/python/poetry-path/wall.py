from paint import colour


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    return [f"<body bgcolor={colour()}>".encode()]
