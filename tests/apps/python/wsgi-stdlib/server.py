import os
import sqlite3
import ssl
import zlib
from wsgiref.simple_server import make_server

database = sqlite3.connect(os.path.join(os.environ["HOME"], "tmp/visits.sqlite3"), isolation_level=None)
database.execute("create table visits (at real)")
HERE = f"{ssl.OPENSSL_VERSION.split()[0]} and {zlib.__name__}"


def app(environ, start_response):
    database.execute("insert into visits values (julianday())")
    [(count,)] = database.execute("select count(*) from visits")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{count} visit{'s' * (count > 1)}, {HERE} are here\n".encode()]


make_server("0.0.0.0", int(os.environ["PORT"]), app).serve_forever()
