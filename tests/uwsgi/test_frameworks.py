"""Django, FastAPI and the example of the documentation, served behind nginx by `uwsgi_pass`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.needs("nginx")

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "nginx-uwsgi"
BIND = "uwsgi://127.0.0.1:0"


@pytest.fixture
def session() -> Any:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.mark.parametrize("hostler_worker", ["sync", "gthread", "gevent"], indirect=True)
def test_django(server: Any, nginx: Any, session: requests.Session) -> None:
    """A page of Django's own, an upload, a stream, and a redirect that names nginx."""
    sites = str(ROOT / "tests" / "end_to_end" / "sites")
    running = server("djangosite.wsgi:application", bind=BIND, chdir=sites, pythonpath=sites)
    url = f"http://127.0.0.1:{nginx(running).port}"
    page = session.get(f"{url}/admin/login/")
    assert (page.status_code, "csrfmiddlewaretoken" in page.text) == (200, True)
    moved = session.get(f"{url}/admin", allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (301, "/admin/")
    content = os.urandom(1 << 20) * 3
    answer = session.post(f"{url}/upload", files={"file": ("file.bin", content)})
    assert answer.json()["size"] == len(content)
    assert len(session.get(f"{url}/download").content) == 400 * 65536
    assert "Traceback" not in running.log()


@pytest.mark.parametrize("hostler_worker", ["asgi"], indirect=True)
def test_fastapi(server: Any, nginx: Any, session: requests.Session) -> None:
    """A page, uploads with a length and in chunks, a path that is not there, work after the answer."""
    sites = str(ROOT / "tests" / "frameworks" / "sites")
    running = server("fastapi_site:app", bind=BIND, pythonpath=sites)
    url = f"http://127.0.0.1:{nginx(running).port}"
    assert session.get(f"{url}/").json() == "fastapi"
    assert session.post(f"{url}/upload", data=bytes(3_000_000)).json() == {"size": 3_000_000}
    assert session.post(f"{url}/upload", data=(bytes(1000) for _ in range(500))).json() == {"size": 500_000}
    assert session.get(f"{url}/missing").status_code == 404
    assert session.get(f"{url}/background").json() == "later"
    assert running.await_left("background") == "yes"
    running.stop()
    assert "Traceback" not in running.log()


def test_the_example(server: Any, nginx: Any, session: requests.Session) -> None:
    """Its configuration, as it stands but for the ports: a mount point, a stream, an upload."""
    running = server("app:app", bind=BIND, chdir=str(EXAMPLE))
    url = f"http://127.0.0.1:{nginx(running, (EXAMPLE / 'nginx.conf').read_text()).port}"
    seen = json.loads(session.get(f"{url}/a?b=c").text)
    assert (seen["PATH_INFO"], seen["SCRIPT_NAME"], seen["QUERY_STRING"]) == ("/a", "", "b=c")
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("127.0.0.1", "http")
    mounted = json.loads(session.get(f"{url}/shop/cart?item=1").text)
    assert (mounted["SCRIPT_NAME"], mounted["PATH_INFO"]) == ("/shop", "/cart")
    assert session.get(f"{url}/live/now").text.splitlines() == [f"tick {number}" for number in range(5)]
    assert session.post(f"{url}/upload/x", data=bytes(2_000_000)).json() == {"size": 2_000_000}
    assert "Traceback" not in running.log()
