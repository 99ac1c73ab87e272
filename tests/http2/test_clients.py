"""Real clients of HTTP/2 against real servers, on every worker that can carry it."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import h2.events
import httpx
import pytest
from h2_peer import Peer
from hostler_testkit.client import until

HERE = Path(__file__).parent
WORKERS = ("gthread", "gevent", "asgi")


def run(*command: str) -> str:
    """The output of a client."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_httpx(site: Any, certificate: Any) -> None:
    """More requests than one connection may carry, one after the other: none is lost between two connections."""
    base = f"https://127.0.0.1:{site(keepalive_requests=20).address[1]}"
    with httpx.Client(http2=True, verify=certificate.client(), trust_env=False) as client:
        for number in range(50):
            answer = client.post(base + "/length", content=b"x" * number)
            assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
            assert answer.text == f"HTTP/2.0 https {number}"


def test_http1_beside(base: str, certificate: Any) -> None:
    """A client that does not offer HTTP/2 gets HTTP/1.1 on the same port."""
    with httpx.Client(verify=certificate.client(), trust_env=False) as client:
        answer = client.get(base + "/")
    assert (answer.status_code, answer.http_version) == (200, "HTTP/1.1")


@pytest.mark.parametrize(
    "program", [name for name in ("curl", "nghttp", "h2load", "node") if shutil.which(name)]
)
def test_programs(base: str, worker_value: Any, certificate: Any, tmp_path: Path, program: str) -> None:
    """Early hints, large uploads and downloads, trailers, thousands of requests, as other people's clients see them."""
    if program == "curl":
        file = tmp_path / "upload"
        file.write_bytes(bytes(5_000_000))
        words = ("curl", "-sS", "--http2", "--cacert", certificate.cert)
        assert run(*words, "--data-binary", f"@{file}", base + "/length") == "HTTP/2.0 https 5000000"
        assert (
            run(*words, "-o", str(file), "-w", "%{http_code} %{http_version}", base + "/large?100") == "200 2"
        )
        assert file.stat().st_size == 100 * 65536
    elif program == "nghttp":
        said = run("nghttp", "-nv", base + "/hints")
        assert re.findall(r":status: (\d+)", said) == ["103", "103", "200"]
        assert re.findall(r"link: </(\w)\.css>", said) == ["a", "b"]
    elif program == "h2load":
        said = run("h2load", "-n", "3000", "-c", "4", "-m", "20", base + "/")
        assert "3000 succeeded, 0 failed, 0 errored" in said
    else:
        trailer = {"wsgi": "x-blocks 3", "asgi": "grpc-status 0"}[worker_value.interface]
        assert run("node", str(HERE / "uploads.js"), base) == f"right 50\n{trailer}\n"


@pytest.mark.load
@pytest.mark.needs("h2load")
def test_a_hundred_thousand_requests(base: str) -> None:
    """Over eight connections with 32 streams each, and not one error."""
    said = run("h2load", "-n", "100000", "-c", "8", "-m", "32", base + "/")
    assert "100000 succeeded, 0 failed, 0 errored, 0 timeout" in said


def test_streams_run_at_the_same_time(running: Any, certificate: Any) -> None:
    """A quick request is not kept waiting by a slow one before it."""
    with Peer(running.address, certificate.client(("h2",))) as peer:
        slow = peer.request("/slow")
        quick = [peer.request("/") for _ in range(3)]
        for stream in (*quick, slow):
            assert peer.answer(stream) == (200, b"HTTP/2.0 https 0")
        ends = [event.stream_id for event in peer.events if isinstance(event, h2.events.StreamEnded)]
        assert ends[-1] == slow


def test_trailers(running: Any, worker_value: Any, certificate: Any) -> None:
    """Fields behind the body, for a client that wants them."""
    with Peer(running.address, certificate.client(("h2",))) as peer:
        stream = peer.request("/rpc", fields=[("te", "trailers")])
        assert peer.answer(stream)[0] == 200
        expected = {"wsgi": {"x-blocks": "3"}, "asgi": {"grpc-status": "0"}}[worker_value.interface]
        assert dict(peer.until(h2.events.TrailersReceived, stream).headers) == expected


def test_graceful_stop(site: Any, certificate: Any) -> None:
    """A request in service is answered whole, then the connection ends, then the server."""
    running = site()
    with Peer(running.address, certificate.client(("h2",))) as peer:
        assert peer.answer(peer.request("/"))[0] == 200
        slow = peer.request("/slow")
        until((running.directory / "slow").exists, "the application's start")
        stopping = threading.Thread(target=running.stop)
        stopping.start()
        assert peer.answer(slow)[0] == 200
        peer.until(h2.events.ConnectionTerminated)
        stopping.join()


def test_reset_uploads_leave_room(running: Any, certificate: Any) -> None:
    """Hundreds of uploads that are cancelled half-way, then an ordinary request on the same connection."""
    with Peer(running.address, certificate.client(("h2",))) as peer:
        peer.until(h2.events.RemoteSettingsChanged)
        for _ in range(150):
            stream = peer.request("/length", method="POST", end=False)
            peer.h2.send_data(stream, bytes(1000))
            peer.h2.reset_stream(stream, error_code=8)
            peer.flush()
        assert peer.answer(peer.request("/")) == (200, b"HTTP/2.0 https 0")


def test_prior_knowledge(site: Any) -> None:
    """HTTP/2 without TLS only where it is asked for; HTTP/1.1 stays beside it."""
    running = site(certfile=None, keyfile=None, http2_cleartext="prior-knowledge")
    base = f"http://127.0.0.1:{running.address[1]}"
    with httpx.Client(http1=False, http2=True, trust_env=False) as client:
        assert client.get(base + "/").text == "HTTP/2.0 http 0"
    with httpx.Client(trust_env=False) as client:
        assert client.get(base + "/").http_version == "HTTP/1.1"
