"""What an operator sees of a pool, through the real command line: metrics at a statsd, every command, the log."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time

import pytest
from pool_server import PATIENCE, wait_for

PATH = "pool_site:Model"


def ctl(server, *words):
    """(exit code, standard output, standard error) of `server ctl …`."""
    done = subprocess.run(
        [sys.executable, "-m", "hostler", "ctl", "--control-socket", server.control, *words],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_the_pool_s_figures_reach_a_statsd(serve):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(PATIENCE)
        target = f"127.0.0.1:{statsd.getsockname()[1]}"
        server = serve("gthread", "--statsd-host", target, "--dirty-metrics-interval", "0.5")
        assert server.get("/echo?v=1") == '"1"'
        wanted = {
            "hostler.dirty.call_seconds.pool_site_Model.echo.ok.count:1|c",
            "hostler.dirty.app_ready.pool_site_Model:1|g",
            "hostler.dirty.inflight.0:0|g",
        }
        found, until = set(), time.monotonic() + PATIENCE
        while not wanted <= found:
            assert time.monotonic() < until, (wanted - found, found)
            found.update(statsd.recv(65536).decode().splitlines())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for all commands."""
    from pool_server import Server

    made = Server("gthread", tmp_path_factory.mktemp("server"), "--dirty-slow-call", "0.1")
    yield made
    made.stop()
    print(made.log.read_text())


def test_status_and_readiness(server):
    assert server.get("/echo?v=2") == '"2"'
    code, said, _ = ctl(server, "dirty", "status")
    assert code == 0
    assert re.search(r"^SLOT +STATE +APPS +PID +GENERATION ", said, re.MULTILINE)
    assert re.search(r'^ +0 +ready +\["pool_site:Model"\] +\d+ ', said, re.MULTILINE)
    assert re.search(r"^pool_site:Model +\[0\] +ready +1 +0 ", said, re.MULTILINE)
    code, said, _ = ctl(server, "--json", "dirty", "status")
    told = json.loads(said)
    assert (code, told["apps"][PATH]["state"], told["slots"][0]["state"]) == (0, "ready", "ready")
    assert ctl(server, "dirty", "ready")[0] == 0
    assert ctl(server, "dirty", "ready", PATH)[0] == 0


def test_metrics(server):
    server.get("/echo?v=3")

    def counted():
        code, said, _ = ctl(server, "--json", "dirty", "metrics")
        assert code == 0
        rows = json.loads(said)["metrics"]
        return [row for row in rows if row["labels"] == {"app": PATH, "action": "echo", "outcome": "ok"}]

    assert wait_for(counted, "the call")[0]["count"] >= 1
    code, said, _ = ctl(server, "dirty", "metrics", "--format", "prometheus")
    assert code == 0
    assert "\n# TYPE hostler_dirty_call_seconds histogram\n" in said
    assert f'\nhostler_dirty_app_ready{{app="{PATH}"}} 1\n' in f"\n{said}"
    assert re.search(r"^NAME +LABELS +KIND +VALUE ", ctl(server, "dirty", "metrics")[1], re.MULTILINE)


def test_orders(server):
    assert ctl(server, "dirty", "add")[:2] == (0, "added: [2]\n")
    assert ctl(server, "dirty", "reload", PATH)[0] == 0
    assert ctl(server, "dirty", "remove")[:2] == (0, "removed: [2]\n")
    assert ctl(server, "dirty", "retry", PATH)[0] == 0
    code, said, _ = ctl(server, "dirty", "stacks", "0")
    assert code == 0
    assert "most recent call first" in said
    code, said, _ = ctl(server, "dirty", "drain", "0")
    assert code == 0
    pid = re.search(r"^pid: (\d+)$", said, re.MULTILINE)[1]
    log = server.log.read_text
    wait_for(lambda: f"(pid {pid}, generation 2, {PATH}) ended: drained (exit code 0)" in log(), "its end")
    wait_for(lambda: f"generation 3, {PATH}) is ready after" in log(), "the next one")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("add none", "'none' is no number from 1 on"),
        ("drain", "usage: drain SLOT"),
        ("drain 9", "there is no worker in slot 9"),
        ("reload no:App", "the pool has no app no:App; it has pool_site:Model"),
        ("metrics --format xml", "usage: metrics [--format prometheus]"),
        ("frob", "'frob' is none of: status, "),
    ],
)
def test_wrong_words(server, words, error):
    code, said, told = ctl(server, "dirty", *words.split())
    assert (code, said) == (1, "")
    assert told.startswith(f"hostler: error: dirty: {error}")
    assert told.count("\n") == 1


def test_the_log_tells_of_a_slow_call(server):
    assert server.get("/nap?s=0.3") == '"rested"'
    line = (
        r"dirty worker 0 \(pid \d+, generation \d+, pool_site:Model\): "
        r"slow call: pool_site:Model\.nap took \d+\.\d s"
    )
    wait_for(lambda: re.search(line, server.log.read_text()), "the line of the log")
