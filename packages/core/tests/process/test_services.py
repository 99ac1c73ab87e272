"""Services: started before the workers, supervised like them, stopped after them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

MODULE = """
import os, select, socket, time
from dataclasses import dataclass
from hostler.errors import BootError
from hostler.plugin import Bound, LoggerType, ServiceType, open_std_logger
from hostler.settings import seconds, setting, text

HERE = os.path.dirname(__file__)

def note(*words):
    with open(os.path.join(HERE, "notes"), "a") as file:
        file.write(" ".join(str(word) for word in words) + "\\n")

@dataclass(frozen=True, slots=True)
class Settings:
    mode: str = setting("", kind=text, help="what to do")
    colour: str = setting("red", kind=text, help="what to say")
    patience: float = setting(30.0, kind=seconds(), help="to stop")

def bind(settings, setup):
    directory = setup.runtime_directory()
    note("bind", os.getpid(), oct(os.stat(directory).st_mode & 0o777))
    one, two = socket.socketpair()
    return Bound({"open": one.detach(), "shut": two.detach()}, hidden=("shut",), values={"directory": directory})

def join(settings, bound):
    def opened(name):
        try:
            os.fstat(bound.descriptors[name])
            return True
        except OSError:
            return False
    note("join", opened("open"), opened("shut"))

def offer(ctx):
    return {"paint.brush": lambda view: f"{view.head.method} {view.departed()} {ctx.multiprocess}"}

def serve(ctx, settings):
    note("serve", os.getpid(), settings.colour, *(os.fstat(ctx.bound.descriptors[n]).st_ino for n in ("open", "shut")))
    if settings.mode == "crash":
        raise RuntimeError("as asked")
    if settings.mode == "refuse":
        raise BootError("no colour to paint with")
    if settings.mode == "slow":
        time.sleep(0.5)
    ctx.measure("hostler.paint.pots", 3)
    ctx.measure("hostler.paint.strokes", 7, "counter")
    note("ready")
    ctx.ready("colour " + settings.colour)
    while not ctx.stopping:
        ctx.beat()
        if select.select([ctx.wakeup], [], [], 0.5)[0]:
            ctx.turn()
        if ctx.reloading:
            ctx.reloading = False
            settings = ctx.reread()
            ctx.report("colour " + settings.colour)
        if settings.mode == "hang" and os.path.exists(os.path.join(HERE, "hang")):
            while True: time.sleep(1)
    while settings.mode == "stubborn":
        time.sleep(1)
    note("stopped", ctx.stopping)

def control(settings, bound, words):
    if words == ["spill"]:
        return {"ok": False, "error": "no paint is left"}
    return "red\\ngreen\\n" if words == ["colours"] else {"ok": words != ["dry"], "text": "pots: 3\\n", "pots": 3}

def open_counting(settings, own):
    log = open_std_logger(settings)
    log.measure = lambda name, value, kind="gauge": name.startswith("hostler.") and note("measure", name, value, kind)
    return log

counting = LoggerType(name="counting", open="paint_service:open_counting")

service = ServiceType(
    control="paint_service:control",
    name="paint", serve="paint_service:serve", settings=Settings, bind="paint_service:bind",
    join="paint_service:join", offer="paint_service:offer", wanted=lambda settings: True, stop_timeout="patience",
    supervised=lambda settings: settings.mode != "alone",
)
"""


@pytest.fixture
def painted(server: Any) -> Any:
    """A server for which the service `paint` is installed; its notes are in the server's directory."""
    site = server.directory / "site"
    information = site / "paint_service-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: paint-service\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[hostler.services]\npaint = paint_service:service\n")
    (site / "paint_service.py").write_text(MODULE)
    server.environment = {"PYTHONPATH": str(site), "HOSTLER_DISABLE_PLUGINS": "dirty,hostler-dirty"}

    def notes() -> list[list[str]]:
        path = site / "notes"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    server.notes = notes
    server.site = site
    return server


def service_of(server: Any) -> dict[str, Any]:
    found = server.status().get("services") or [{}]
    return dict(found[0])


def test_order_and_descriptors(painted: Any) -> None:
    """Bound in the arbiter, ready before any worker is forked, stopped after the last; hidden means hidden."""
    painted.configure(paint_mode="slow", workers=2).start()
    painted.settled(2)
    assert [words[0] for words in painted.notes()] == ["bind", "serve", "ready", "join", "join"]
    assert painted.notes()[0][1:] == [str(painted.pid), "0o700"]
    assert painted.notes()[3][1:] == ["True", "False"]
    assert service_of(painted)["status"] == "colour red"
    assert painted.stop() == 0
    assert painted.notes()[-1] == ["stopped", "graceful"]
    log = painted.log()
    assert log.rindex("worker=") < log.rindex("service=paint")


def test_a_service_without_a_process(painted: Any, wait_until: Callable[..., Any]) -> None:
    """It binds and joins all the same, and a reload may take its process away or give it one."""
    painted.configure(paint_mode="alone").start()
    painted.settled(1)
    assert [words[0] for words in painted.notes()] == ["bind", "join"]
    assert not painted.status().get("services")
    painted.configure(paint_mode="")
    painted.send(signal.SIGHUP)
    wait_until(lambda: service_of(painted).get("state") == "ready", lambda: painted.log())
    painted.configure(paint_mode="alone")
    painted.send(signal.SIGHUP)
    wait_until(lambda: not painted.status().get("services"), lambda: painted.log())
    assert painted.stop() == 0


def test_requests_find_what_it_offers(painted: Any) -> None:
    """In the `environ`, made for each of them."""
    painted.write(
        "app.py",
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [environ['paint.brush'].encode()]\n",
    )
    painted.start()
    assert painted.get() == "GET False False"


def test_restart_keeps_descriptors(painted: Any, wait_until: Callable[..., Any]) -> None:
    """Killed, it comes back with the same sockets; the workers stay."""
    painted.start()
    workers = painted.settled(1)
    before = service_of(painted)["pid"]
    os.kill(before, signal.SIGKILL)
    wait_until(
        lambda: (now := service_of(painted)).get("pid") != before and now.get("state") == "ready",
        "another life",
    )
    lives = [words for words in painted.notes() if words[0] == "serve"]
    assert len(lives) == 2
    assert lives[0][3:] == lives[1][3:]
    assert painted.settled(1) == workers
    assert [words[0] for words in painted.notes()].count("bind") == 1


def test_reload_is_passed_on(painted: Any, wait_until: Callable[..., Any]) -> None:
    """HUP reaches it, and it can read its settings anew."""
    painted.start()
    pid = service_of(painted)["pid"]
    painted.configure(paint_colour="blue")
    painted.send(signal.SIGHUP)
    wait_until(lambda: service_of(painted).get("status") == "colour blue", lambda: painted.log())
    assert service_of(painted)["pid"] == pid


def test_service_that_never_starts_ends_the_first_start(painted: Any) -> None:
    """After some attempts, with one line."""
    painted.configure(paint_mode="crash").launch()
    assert painted.wait() == 3
    assert "the service paint" in painted.log().strip().splitlines()[-1]
    assert "gen=1" not in painted.log(), "a worker was started"


def test_service_that_refuses_ends_the_first_start_at_once(
    painted: Any, is_alive: Callable[[int], bool]
) -> None:
    """What its user has to mend is told in one line, once."""
    painted.configure(paint_mode="refuse").launch()
    assert painted.wait() == 3
    log = painted.log()
    assert "the service paint could not start: no colour to paint with" in log.strip().splitlines()[-1]
    assert "Traceback" not in log
    assert "starts again" not in log
    lives = [words for words in painted.notes() if words[0] == "serve"]
    assert len(lives) == 1
    assert not is_alive(int(lives[0][1]))


def test_hanging_service_is_replaced(painted: Any, wait_until: Callable[..., Any]) -> None:
    """It beats, so it is watched."""
    painted.configure(paint_mode="hang", timeout=3).start()
    before = service_of(painted)["pid"]
    (painted.site / "hang").touch()
    painted.logged(f"service=paint pid={before} gave no sign of life in time")
    (painted.site / "hang").unlink()
    wait_until(
        lambda: (now := service_of(painted)).get("pid") != before and now.get("state") == "ready",
        "another life",
    )


def test_stop_budget(painted: Any) -> None:
    """A service that does not stop is killed after its own time."""
    painted.configure(paint_mode="stubborn", paint_patience=0.5).start()
    assert painted.stop() == 0
    assert "did not end in time: killed" in painted.log()


def test_orphaned_service_ends(
    painted: Any, is_alive: Callable[[int], bool], wait_until: Callable[..., Any]
) -> None:
    """Without an arbiter it stops."""
    painted.start()
    pid = service_of(painted)["pid"]
    painted.send(signal.SIGKILL)
    painted.wait()
    wait_until(lambda: not is_alive(pid), "the end of the service")


def test_figures_reach_the_logger(painted: Any) -> None:
    """Whichever the server has."""
    painted.configure(logger_class="paint_service:counting").start()
    told = [words[1:] for words in painted.notes() if words[0] == "measure"]
    assert told == [["hostler.paint.pots", "3", "gauge"], ["hostler.paint.strokes", "7", "counter"]]


def test_what_control_shows_of_its_answers(painted: Any) -> None:
    """Text as it is, an error as one line."""
    painted.start()

    def ctl(*words: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "hostler", "ctl", "--control-socket", str(painted.directory / "ctl")]
        environment = {**os.environ, **painted.environment}
        done = subprocess.run(
            [*command, *words], capture_output=True, text=True, timeout=60, env=environment, check=False
        )
        return done.returncode, done.stdout, done.stderr

    assert ctl("paint", "colours") == (0, "red\ngreen\n", "")
    assert ctl("paint", "count") == (0, "pots: 3\n", "")
    assert ctl("paint", "dry") == (1, "pots: 3\n", "")
    assert ctl("paint", "spill") == (1, "", "hostler: error: paint: no paint is left\n")
    code, said, _ = ctl("--json", "paint", "spill")
    assert (code, json.loads(said)) == (1, {"ok": False, "error": "no paint is left"})
