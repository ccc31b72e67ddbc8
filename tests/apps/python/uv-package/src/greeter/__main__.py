import argparse

import bottle

from . import __version__


@bottle.get("/")
def index():
    return f"greeter {__version__}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--version", action="version", version=__version__)
    bottle.run(server="waitress", host="0.0.0.0", port=parser.parse_args().port)
