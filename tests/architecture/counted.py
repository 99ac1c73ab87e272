"""A WSGI application whose worker counts every call between one request and the next."""

import json
import sys

WARM = 30
MEASURED = 20

events = []


def note(frame, event, argument):
    """Keep what the budget is about: Python calls and returns with their file, calls into C with their name."""
    if event in ("call", "return"):
        events.append(
            (
                event,
                frame.f_code.co_filename,
                frame.f_code.co_qualname if HAS_QUALNAME else frame.f_code.co_name,
            )
        )
    elif event == "c_call":
        events.append((event, "", getattr(argument, "__name__", "")))


HAS_QUALNAME = sys.version_info >= (3, 11)


def begin(worker=None):
    """The hook `post_worker_init`: count from now on."""
    sys.setprofile(note)


def app(environ, start_response):
    """`/` is measured, `/counts` tells each request's events."""
    if environ["PATH_INFO"] == "/counts":
        sys.setprofile(None)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(rounds()).encode()]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def rounds():
    """The events from each call of the application to the next one."""
    found = []
    for event in events:
        if event[0] == "call" and event[1] == __file__ and event[2] == "app":
            found.append([])
        if found and event[1] != __file__:
            found[-1].append(event)
    return found[WARM:-1]
