"""A Django project and a Flask application behind the server, driven by requests with keep-alive."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

SITES = Path(__file__).parent / "sites"


def url(running: Any, path: str) -> str:
    """An address of the server's first listener."""
    host, port = running.address
    return f"http://{host}:{port}{path}"


@pytest.fixture
def session() -> Any:
    """Keep-alive, without the environment's proxies."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


def manage(directory: Path, *words: str) -> None:
    """Run a command of the Django project."""
    environment = {
        **os.environ,
        "HOSTLER_TESTKIT_DIRECTORY": str(directory),
        "DJANGO_SETTINGS_MODULE": "djangosite.settings",
        "DJANGO_SUPERUSER_PASSWORD": "secret",
        "PYTHONPATH": str(SITES),
    }
    command = [sys.executable, "-m", "django", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def django(server: Any) -> Any:
    """The project with its database, an administrator and collected static files."""
    running = server.make("djangosite.wsgi:application", chdir=str(SITES), pythonpath=str(SITES), workers=2)
    manage(running.directory, "migrate", "--verbosity=0")
    manage(running.directory, "collectstatic", "--noinput", "--verbosity=0")
    manage(running.directory, "createsuperuser", "--noinput", "--username=admin", "--email=a@example.com")
    return running.start()


def test_django_admin(django: Any, session: requests.Session) -> None:
    """Log in to the admin; its style sheet comes through WhiteNoise."""
    page = session.get(url(django, "/admin/login/"))
    assert page.status_code == 200
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token is not None
    form = {"username": "admin", "password": "secret", "csrfmiddlewaretoken": token[1], "next": "/admin/"}
    home = session.post(url(django, "/admin/login/"), data=form, headers={"Referer": page.url})
    assert home.status_code == 200
    assert "Site administration" in home.text
    css = session.get(url(django, "/static/admin/css/base.css"))
    assert css.headers["Content-Type"].startswith("text/css")
    assert css.content == (django.directory / "static/admin/css/base.css").read_bytes()
    part = session.get(css.url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, css.content[10:20])


def test_django_upload_and_download(django: Any, session: requests.Session) -> None:
    """20 MB up, 25 MB down, each with its digest."""
    content = os.urandom(1 << 20) * 20
    answer = session.post(url(django, "/upload"), files={"file": ("file.bin", content)})
    assert answer.json() == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    digest, size = hashlib.sha256(), 0
    with session.get(url(django, "/download"), stream=True) as streamed:
        for chunk in streamed.iter_content(65536):
            digest.update(chunk)
            size += len(chunk)
    assert size == 400 * 65536
    assert digest.hexdigest() == hashlib.sha256(bytes(range(256)) * 256 * 400).hexdigest()


def test_flask(server: Any, session: requests.Session) -> None:
    """A page, a body, a stream, an error page."""
    running = server("flasksite:app", chdir=str(SITES))
    assert session.get(url(running, "/")).text == "<h1>Flask</h1>"
    body = os.urandom(3 << 20)
    assert (
        session.post(url(running, "/digest"), data=body).json()["sha256"] == hashlib.sha256(body).hexdigest()
    )
    chunks = (body[at : at + 100000] for at in range(0, len(body), 100000))
    assert (
        session.post(url(running, "/digest"), data=chunks).json()["sha256"]
        == hashlib.sha256(body).hexdigest()
    )
    assert session.get(url(running, "/stream")).text == "".join(f"{number}\n" for number in range(10000))
    assert session.get(url(running, "/fail")).status_code == 500
    assert session.head(url(running, "/")).headers["Content-Length"] == "14"


@pytest.mark.parametrize("chunked", [False, True])
def test_validator(server: Any, session: requests.Session, chunked: bool) -> None:
    """wsgiref's validator finds nothing to complain of."""
    running = server("validated:app", chdir=str(SITES))
    body: Any = (part for part in (b"a\n", b"b")) if chunked else b"a\nb"
    assert session.post(url(running, "/lines"), data=body).content == b"a\nb"
    assert session.post(url(running, "/read"), data=b"abc").content == b"abc"
    for path, expected in {
        "/": b"one block",
        "/write": b"written and returned",
        "/generator": b"ab",
        "/file": b"f" * 100000,
        "/exc-info": b"replaced",
        "/empty": b"",
    }.items():
        answer = session.get(url(running, path + "?q"))
        assert answer.content == expected
        assert answer.status_code == {"/exc-info": 500, "/empty": 204}.get(path, 200)
    session.close()
    running.stop()
    assert "AssertionError" not in running.log()
    assert "Warning" not in running.log()
