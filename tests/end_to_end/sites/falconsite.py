"""A Falcon application of the tests."""

import falcon


class Greeting:
    """JSON."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer with what was asked for."""
        response.media = {"framework": "falcon", "path": request.path}


class Numbers:
    """A stream of no stated length."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """1,000 numbers, one line each."""
        response.content_type = falcon.MEDIA_TEXT
        response.stream = (f"{number}\n".encode() for number in range(1000))


app = falcon.App()
app.add_route("/", Greeting())
app.add_route("/stream", Numbers())
