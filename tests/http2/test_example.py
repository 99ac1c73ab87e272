"""The example `http2_gevent`, as its README runs it without Docker."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from hostler_testkit.client import until

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "http2_gevent"
WORKERS = ("gevent",)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The example with a certificate of its own, on a free port."""
    directory = tmp_path / "example"
    shutil.copytree(EXAMPLE, directory, ignore=shutil.ignore_patterns("certificates", "__pycache__"))
    subprocess.run(["./make_certificate.sh"], cwd=directory, check=True, capture_output=True)
    configuration = directory / "hostler.conf.py"
    configuration.write_text(configuration.read_text().replace("0.0.0.0:8443", "127.0.0.1:0"))
    return directory


def test_the_example(server: Any, copy: Path) -> None:
    """The page, its hundred pictures over the same connection, an upload."""
    configuration = (copy / "hostler.conf.py").read_text()
    running = server("app:app", configuration=configuration, chdir=str(copy), worker="gevent")
    base = f"https://localhost:{running.address[1]}"
    context = ssl.create_default_context(cafile=str(copy / "certificates" / "localhost.crt"))
    with httpx.Client(http2=True, verify=context, trust_env=False) as client:
        page = client.get(base + "/")
        assert page.http_version == "HTTP/2"
        assert "HTTP/2.0" in page.text
        pictures = re.findall(r'src="([^"]+)"', page.text)
        assert len(pictures) == 100
        for path in pictures:
            assert client.get(base + path).headers["content-type"] == "image/svg+xml"
        assert client.post(base + "/upload", content=bytes(300000)).text == "300000 octets\n"
        assert client.get(base + "/style.css").status_code == 200
        assert client.get(base + "/none").status_code == 404


def test_the_configuration_alone(copy: Path) -> None:
    """`server -c hostler.conf.py` needs no more words."""
    done = subprocess.run(
        [sys.executable, "-m", "hostler", "-c", "hostler.conf.py", "--check-config"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.needs("chromium")
def test_browser(server: Any, copy: Path) -> None:
    """Headless Chromium loads the page: everything comes over HTTP/2."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "a Chromium browser is needed: apt-get install chromium"
    configuration = (copy / "hostler.conf.py").read_text()
    running = server("app:app", configuration=configuration, chdir=str(copy), worker="gevent", accesslog=True)
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]
    words += [
        "--ignore-certificate-errors",
        f"--user-data-dir={copy / 'profile'}",
        "--timeout=20000",
        "--dump-dom",
    ]
    done = subprocess.run(
        [browser, *words, f"https://localhost:{running.address[1]}/"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert "This came over HTTP/2.0" in done.stdout, done.stderr
    until(lambda: len(requests(running)) >= 102, "a hundred pictures, the page and its style sheet")
    assert {line.split()[2] for line in requests(running)} == {"HTTP/2.0"}


def requests(running: Any) -> list[str]:
    """The request lines of the access log, what browsers ask on their own account left out."""
    lines = [re.search(r'"(GET [^"]*)"', line) for line in running.access()]
    return [line[1] for line in lines if line and "favicon" not in line[1]]
