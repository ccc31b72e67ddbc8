import time
from importlib.metadata import version

import click
import waitress


@click.group()
def main():
    """Clocks of any kind."""


@main.command()
@click.option("--port", envvar="PORT", type=int)
def serve(port):
    """Tell the time."""
    waitress.serve(app, port=port)


@main.command()
def wind():
    """Keep it going."""
    while True:
        click.echo("winding")
        time.sleep(1)


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"tick-tock {version('clockwork')}\n".encode()]
