"""An application that exercises every kind of body, inside wsgiref's validator."""

import io
import sys
from wsgiref.validate import validator


def inner(environ, start_response):
    """One kind of body for each path."""
    path = environ["PATH_INFO"]
    if path == "/read":
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]
    if path == "/lines":
        lines = [environ["wsgi.input"].readline(), *environ["wsgi.input"].readlines()]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return lines
    if path == "/write":
        start_response("200 OK", [("Content-Type", "text/plain")])(b"written ")
        return [b"and returned"]
    if path == "/generator":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (block for block in (b"a", b"", b"b"))
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    if path == "/file":
        start_response("200 OK", [("Content-Type", "text/plain")])
        file = io.BytesIO(b"f" * 100000)
        return iter(lambda: file.read(8192), b"")
    if path == "/exc-info":
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise RuntimeError
        except RuntimeError:
            start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"replaced"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"one block"]


app = validator(inner)
