"""The model of `pool_languages` behind two frameworks; the pool's workers import none of this."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from flask import Flask, jsonify, request
from hostler_dirty import DirtyError, get_dirty_client

PATH = "pool_languages:Languages"


def client():
    return get_dirty_client(60).options(no_worker_wait=60)


def failure(error):
    return {"error": type(error).__name__, "details": {k: str(v) for k, v in error.details.items()}}


flask_app = Flask(__name__)


@flask_app.get("/plain")
def plain():
    return "plain"


@flask_app.get("/tell")
def tell():
    try:
        return jsonify(language=client().execute(PATH, "tell", request.args["text"]))
    except DirtyError as error:
        return jsonify(failure(error)), 502


fast_app = FastAPI()


@fast_app.get("/plain")
async def plain_async():
    return "plain"


@fast_app.get("/tell")
async def tell_async(text: str):
    try:
        return {"language": await client().execute_async(PATH, "tell", text)}
    except DirtyError as error:
        return JSONResponse(failure(error), 502)
