"""Startup and shutdown of an application, and the state that it leaves for its requests."""

from __future__ import annotations

import asyncio

import pytest
from hostler.errors import BootError, ConfigError

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def application(seen, *, startup="complete", shutdown="complete"):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            seen.append(scope)
            seen.append(await receive())
            scope["state"]["shared"] = []
            scope["state"]["plain"] = 1
            await send({"type": f"lifespan.startup.{startup}", "message": "no database"})
            if startup == "failed":
                raise RuntimeError("after it said so")
            seen.append(await receive())
            await send({"type": f"lifespan.shutdown.{shutdown}", "message": "no goodbye"})
        else:
            scope["state"]["shared"].append(1)
            scope["state"]["plain"] += 1
            body = f"{len(scope['state']['shared'])} {scope['state']['plain']}".encode()
            seen.append(asyncio.get_running_loop())
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})

    return app


def test_startup_requests_shutdown(serve_app, raw):
    seen = []
    context = serve_app(application(seen))
    assert raw(context).say(GET).rest().endswith(b"\r\n\r\n1 2")
    assert raw(context).say(GET).rest().endswith(b"\r\n\r\n2 2")
    assert seen[0]["type"] == "lifespan"
    assert seen[0]["asgi"] == {"version": "3.0", "spec_version": "2.0"}
    assert seen[1] == {"type": "lifespan.startup"}
    context.stop()
    assert seen[-1] == {"type": "lifespan.shutdown"}
    assert context.error is None
    assert context.log.errors == []


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_failed_startup_ends_the_worker_with_its_message(serve_app, mode):
    context = serve_app(application([], startup="failed"), own={"lifespan": mode})
    assert isinstance(context.error, BootError)
    assert str(context.error) == "the application's startup failed: no database"


def test_a_failed_shutdown_is_logged(serve_app):
    context = serve_app(application([], shutdown="failed"))
    context.stop()
    assert context.log.errors == ["the application's shutdown failed: no goodbye"]


async def answering(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": repr(scope["state"]).encode()})


async def unsupported(scope, receive, send):
    assert scope["type"] == "http"
    await answering(scope, receive, send)


async def returning(scope, receive, send):
    if scope["type"] == "http":
        await answering(scope, receive, send)


@pytest.mark.parametrize("app", [unsupported, returning])
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_an_application_without_lifespan_is_served(serve_app, raw, app, mode):
    context = serve_app(app, own={"lifespan": mode})
    assert raw(context).say(GET).rest().endswith(b"\r\n\r\n{}")
    context.stop()
    assert context.log.errors == []


@pytest.mark.parametrize("app", [unsupported, returning])
def test_an_application_without_lifespan_is_refused_when_that_is_demanded(serve_app, app):
    assert isinstance(serve_app(app, own={"lifespan": "on"}).error, BootError)


def test_a_shutdown_is_bounded(serve_app):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.sleep(600)

    context = serve_app(app, own={"lifespan_timeout": 0.1})
    context.stop()
    assert context.log.errors == ["the application's lifespan shutdown took longer than 1 seconds"]


def test_a_lifespan_that_dies_later_is_logged_and_the_worker_serves_on(serve_app, raw, eventually):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            await answering(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise ValueError("died")

    context = serve_app(app)
    eventually(lambda: context.log.errors)
    assert raw(context).say(GET).rest().startswith(b"HTTP/1.1 200 ")


def wsgi(environ, start_response):
    return []


class Flasky:
    def __call__(self, environ, start_response):
        return []


class Asgi2:
    def __init__(self, scope):
        pass


@pytest.mark.parametrize("app", [wsgi, Flasky()])
def test_a_wsgi_application_is_refused_in_one_line_that_names_workers(serve_app, app):
    error = serve_app(app).error
    assert "is a WSGI application" in str(error)
    assert "sync, gthread or gevent" in str(error)
    assert "\n" not in str(error)


def test_an_asgi_2_application_is_refused_in_one_line(serve_app):
    assert "guarantee_single_callable" in str(serve_app(Asgi2).error)


def test_a_loop_that_is_not_installed_is_named(serve_app, monkeypatch):
    from hostler_asgi import _loop

    def missing():
        raise ImportError("no module")

    monkeypatch.setitem(_loop.LOOPS, "uvloop", missing)
    error = serve_app(returning, own={"loop": "uvloop"}).error
    assert isinstance(error, ConfigError)
    assert "hostler-asgi[uvloop]" in str(error)
