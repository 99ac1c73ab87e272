"""Errors of the pool in Flask, Starlette and FastAPI, as the documentation says it is done."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from flask import Flask, request
from hostler_dirty import DirtyError, DirtyQueueFullError, DirtyWorkerError, get_request_client
from hostler_dirty.middleware import DirtyErrorsASGI, answer_for
from hostler_dirty.testing import inline

PATH = "pool_requests:Desk"


@pytest.fixture
def pool():
    with inline(PATH) as pool:
        yield pool


def flask_app():
    app = Flask(__name__)

    @app.get("/trace")
    def trace():
        return get_request_client(request.environ).execute(PATH, "trace")

    @app.errorhandler(DirtyError)
    def failed(error):
        answer = answer_for(error)
        if answer is None:
            raise error
        return answer.body, answer.status, answer.fields

    return app


def fast_app():
    app = FastAPI()

    @app.get("/trace")
    async def trace(request: Request):
        return await get_request_client(request.scope).execute_async(PATH, "trace")

    return app


def handling_app():
    app = fast_app()

    @app.exception_handler(DirtyError)
    async def failed(request: Request, error: DirtyError):
        answer = answer_for(error)
        if answer is None:
            raise error
        return Response(answer.body, answer.status, dict(answer.fields))

    return app


def wrapped_app():
    app = fast_app()
    app.add_middleware(DirtyErrorsASGI)
    return app


def ask_flask(app):
    return app.test_client().get("/trace")


def ask_asgi(app):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    async def ask():
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/trace")

    return asyncio.run(ask())


MAKERS = [(flask_app, ask_flask), (handling_app, ask_asgi), (wrapped_app, ask_asgi)]


@pytest.mark.parametrize(("make", "ask"), MAKERS)
def test_errors(pool, make, ask):
    app = make()
    assert ask(app).status_code == 200
    pool.fail_next(DirtyQueueFullError("the queue is full", 7))
    answer = ask(app)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "7"
    assert answer.text == "Service Unavailable: try again later\n"
    pool.fail_next(DirtyWorkerError("the worker died"))
    assert ask(app).status_code == 502
    pool.fail_next(DirtyError("something else"))
    assert ask(app).status_code == 500
