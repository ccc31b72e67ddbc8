worker = "down"


def app(environ, start_response):
    text = f"{environ['REQUEST_METHOD']} {environ['wsgi.url_scheme']} {environ['PATH_INFO']}, worker {worker}\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]
