"""The README's example as a person sees it: through curl and through a browser."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HELLO = Path(__file__).resolve().parents[2] / "examples" / "hello"


def curl(*words: str) -> str:
    """What curl prints."""
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "60", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def example(server: Any) -> str:
    """The address of the example page."""
    host, port = server("hello:app", chdir=str(HELLO)).address
    return f"http://{host}:{port}/"


@pytest.mark.needs("curl")
def test_curl(example: str) -> None:
    """The page, its head, a page that is not there, an upload that nobody reads, two requests of one connection."""
    page = curl(example)
    assert "<h1>hostler serves</h1>" in page
    assert "HTTP_USER_AGENT" in page
    assert curl("--head", example).startswith("HTTP/1.1 200 OK")
    assert "404" in curl("--output", "/dev/null", "--write-out", "%{http_code}", example + "none")
    assert "hostler serves" in curl("--data", "x" * 100000, example)
    assert curl("--write-out", "%{num_connects}", example, example).count("</html>\n1") == 1


@pytest.mark.needs("chromium")
def test_browser(example: str, tmp_path: Path) -> None:
    """Headless Chromium shows the page, and takes its picture."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser, "a Chromium browser is needed: apt-get install chromium"
    picture = tmp_path / "page.png"
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-proxy-server",
    ]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=900,700"]
    subprocess.run(
        [*command, f"--screenshot={picture}", example], check=True, capture_output=True, timeout=100
    )
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10000
    shown = subprocess.run(
        [*command, "--dump-dom", example], check=True, capture_output=True, text=True, timeout=100
    )
    assert "hostler serves" in shown.stdout
    assert "Chrome" in shown.stdout
