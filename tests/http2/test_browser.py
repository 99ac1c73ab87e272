"""Headless Chromium on every worker: a hundred pictures, an early hint that is taken, a WebSocket over HTTP/2."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hostler_testkit.client import until

WORKERS = ("gthread", "gevent", "asgi")
TRIES = 4
"""Chromium does not take every hint; that it takes one shows that hints go out before the answer and are understood."""


def fingerprint(cert: str) -> str:
    """How Chromium names a key that it is told to trust: it takes hints only of servers whose certificate is good."""
    public = subprocess.run(
        ["openssl", "x509", "-in", cert, "-pubkey", "-noout"], capture_output=True, check=True
    )
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "der"], input=public.stdout, capture_output=True, check=True
    )
    return base64.b64encode(hashlib.sha256(der.stdout).digest()).decode()


def load(address: str, cert: str, profile: Path) -> str:
    """The page's document after everything in it was loaded."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser, "a Chromium browser is needed: apt-get install chromium"
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]
    words += [f"--ignore-certificate-errors-spki-list={fingerprint(cert)}", f"--user-data-dir={profile}"]
    done = subprocess.run(
        [browser, *words, "--timeout=60000", "--dump-dom", address],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert "<title>page</title>" in done.stdout, done.stderr
    return done.stdout


@pytest.mark.load
@pytest.mark.needs("chromium")
def test_browser(site: Any, worker_value: Any, certificate: Any, tmp_path: Path) -> None:
    """The application sees the hinted style sheet's request before it answers the page; all is HTTP/2.

    Over ASGI the page's WebSocket goes over the same connection (RFC 8441): its scope says so.
    """
    interface = worker_value.interface
    running = site(application=f"browser_{interface}:app", accesslog=True)
    address = f"https://localhost:{running.address[1]}/"
    for attempt in range(TRIES):
        document = load(address, certificate.cert, tmp_path / f"profile{attempt}")
        assert "<p>HTTP/2.0, " in document
        loaded = 100 * (attempt + 1)
        until(
            lambda wanted=loaded: len(lines(running, "/picture/")) == wanted, "a hundred pictures in the log"
        )
        if "the hint was taken" in document:
            break
    assert "the hint was taken" in document
    assert lines(running, "/style.css")
    assert {line.split()[2] for line in lines(running, "/")} == {"HTTP/2.0"}
    if interface == "asgi":
        assert running.left("told") == "hello over HTTP/2"


def lines(running: Any, path: str) -> list[str]:
    """Request lines of the access log whose paths begin so, but for what browsers ask on their own account."""
    found = [re.search(r'"(GET [^"]*)"', line) for line in running.access()]
    return [
        line[1] for line in found if line and line[1].startswith("GET " + path) and "favicon" not in line[1]
    ]
