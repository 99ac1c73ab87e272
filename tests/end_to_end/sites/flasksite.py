"""A Flask application of the tests."""

import hashlib

from flask import Flask, Response, request

app = Flask(__name__)


@app.get("/")
def index() -> str:
    """A page."""
    return "<h1>Flask</h1>"


@app.post("/digest")
def digest() -> dict[str, str]:
    """The digest of the body."""
    return {"sha256": hashlib.sha256(request.get_data()).hexdigest()}


@app.get("/stream")
def stream() -> Response:
    """Numbers, one line each."""
    return Response((f"{number}\n" for number in range(10000)), mimetype="text/plain")


@app.get("/fail")
def fail() -> str:
    """An error that Flask makes a page of."""
    raise RuntimeError("on purpose")
