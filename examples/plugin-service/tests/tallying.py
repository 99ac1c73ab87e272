"""An application that counts its requests, whichever worker has them."""

import hostler_tally


def application(environ, start_response):
    """Answer with the number of the request."""
    body = str(hostler_tally.count("hits")).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
