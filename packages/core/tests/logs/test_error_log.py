"""The error log, logging configurations, and everything that can go wrong with a file."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import resource
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hostler._log import open_logger
from hostler._log_output import Output
from hostler._log_standard import RATE, StandardLogger, check
from hostler._values import LoggerType
from hostler.errors import ConfigError
from hostler.settings import Settings


def text(path: Path) -> str:
    return path.read_text()


def test_format_and_level(opened: Any, tmp_path: Path) -> None:
    log = opened(loglevel="warning")
    log.error.info("quiet")
    log.error.warning("loud %s", 1)
    stamp = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\]"
    import re

    assert re.fullmatch(rf"{stamp} \[{os.getpid()}\] \[WARNING\] loud 1\n", text(tmp_path / "error.log"))


def test_nothing_in_a_message_passes_for_an_entry(opened: Any, tmp_path: Path) -> None:
    log = opened()
    log.error.error("a\n[2026-01-01 00:00:00 +0000] [1] [INFO] fake\x1b[0m")
    first, second = text(tmp_path / "error.log").splitlines()
    assert first.endswith("[ERROR] a")
    assert second == "  [2026-01-01 00:00:00 +0000] [1] [INFO] fake\\x1B[0m"


def test_tracebacks_are_whole(opened: Any, tmp_path: Path) -> None:
    log = opened()
    try:
        raise ValueError("why")
    except ValueError:
        log.error.exception("it failed")
    found = text(tmp_path / "error.log")
    assert "Traceback (most recent call last):" in found
    assert "ValueError: why" in found


def test_gunicorns_names_lead_to_the_same_place(opened: Any, tmp_path: Path) -> None:
    opened()
    logging.getLogger("gunicorn.error").info("from an application")
    assert "from an application" in text(tmp_path / "error.log")


def test_a_record_that_does_not_fit_its_format(opened: Any, capsys: pytest.CaptureFixture[str]) -> None:
    opened().error.info("%d", "text")
    assert "Logging error" in capsys.readouterr().err


# -- access lines --------------------------------------------------------------------------------------


def test_lines_wait_for_flush(opened: Any, tmp_path: Path, line: Any) -> None:
    log = opened(accesslog=str(tmp_path / "access.log"), access_log_format="%(s)s")
    assert log.access_wanted
    for _ in range(3):
        log.access(line())
    assert text(tmp_path / "access.log") == ""
    log.flush()
    assert text(tmp_path / "access.log") == "200\n" * 3
    for _ in range(1000):
        log.access(line())
    assert text(tmp_path / "access.log").count("\n") > 500
    log.close()
    assert text(tmp_path / "access.log").count("\n") == 1003


def test_without_access_log_no_line_is_wanted(opened: Any, line: Any) -> None:
    log = opened()
    assert not log.access_wanted
    log.access(line())
    log.flush()


def test_a_line_that_cannot_be_made_ends_no_request(opened: Any, tmp_path: Path, line: Any) -> None:
    log = opened(accesslog=str(tmp_path / "access.log"))
    log.access(line(fields=[(b"referer", None)]))
    log.flush()
    assert "a line could not be made" in text(tmp_path / "error.log")


def test_json_lines(opened: Any, tmp_path: Path, line: Any) -> None:
    log = opened(accesslog=str(tmp_path / "access.log"), access_log_json=True)
    log.access(line())
    log.flush()
    assert json.loads(text(tmp_path / "access.log"))["status"] == 200


# -- refused -------------------------------------------------------------------------------------------


def test_refusals_are_limited_in_rate(opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("hostler._log_standard.time.monotonic", lambda: now[0])
    log = opened()
    for _ in range(RATE + 7):
        log.refused("bad_request", ("192.0.2.1", 5), "x\ny")
    log.refused("tls_error", ("", 0))
    lines = text(tmp_path / "error.log").splitlines()
    assert len(lines) == RATE + 1
    assert lines[0].endswith("refused kind=bad_request peer=192.0.2.1:5 x\\x0Ay")
    assert lines[-1].endswith("refused kind=tls_error peer=unix")
    now[0] += 1
    log.refused("bad_request", None)
    assert text(tmp_path / "error.log").splitlines()[-2].endswith("refused kind=bad_request suppressed=7")


# -- files ---------------------------------------------------------------------------------------------


def test_reopen_after_rotation(opened: Any, tmp_path: Path, line: Any) -> None:
    log = opened(accesslog=str(tmp_path / "access.log"))
    log.access(line())
    for name in ("error.log", "access.log"):
        (tmp_path / name).rename(tmp_path / f"{name}.1")
    log.reopen()
    log.error.info("after")
    log.access(line())
    log.flush()
    assert text(tmp_path / "access.log.1").count("\n") == 1
    assert text(tmp_path / "access.log").count("\n") == 1
    assert "after" in text(tmp_path / "error.log")


def test_a_file_that_cannot_be_opened_again_stays(opened: Any, tmp_path: Path, line: Any) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = opened(accesslog=str(folder / "access.log"))
    folder.rename(tmp_path / "moved")
    log.reopen()
    log.access(line())
    log.flush()
    assert text(tmp_path / "moved" / "access.log").count("\n") == 1
    assert "cannot be opened again" in text(tmp_path / "error.log")


@pytest.mark.parametrize("setting", ["errorlog", "accesslog"])
def test_a_file_that_cannot_be_opened(opened: Any, setting: str) -> None:
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(ConfigError, match=f"{setting}: '/no/such/file'"):
        opened(**{setting: "/no/such/file"})
    assert len(os.listdir("/dev/fd")) == before


def test_many_configurations_leave_descriptors_flat(opened: Any, tmp_path: Path) -> None:
    log = opened(accesslog=str(tmp_path / "a"))
    before = len(os.listdir("/dev/fd"))
    for _ in range(50):
        new = opened(accesslog=str(tmp_path / "a"))
        log.close()
        log = new
    assert len(os.listdir("/dev/fd")) == before
    assert len(logging.getLogger("hostler.error").handlers) == 1
    log.error.info("once")
    assert text(tmp_path / "error.log").count("once") == 1


def test_the_error_log_survives_its_close(opened: Any, tmp_path: Path) -> None:
    log = opened()
    log.close()
    log.error.info("last words")
    assert "last words" in text(tmp_path / "error.log")


def test_a_full_disk_costs_lines_only(tmp_path: Path) -> None:
    """The file may not grow beyond a limit; then it may again."""
    output = Output(str(tmp_path / "log"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        for number in range(50):
            output.write(b"line %03d\n" % number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # Eleven lines fit, the twelfth was begun.
    assert output.dropped == 38
    output.write(b"recovered\n")
    output.write(b"fine\n")
    lines = text(tmp_path / "log").splitlines()
    assert lines[:12] == [f"line {number:03}" for number in range(12)]
    assert "recovered" in lines
    assert lines[-1] == "fine"
    assert sum("were lost" in each for each in lines) == 1
    output.close()


def test_no_space_at_all() -> None:
    output = Output("/dev/full")
    for _ in range(10):
        output.write(b"x\n")
    assert output.dropped == 10
    output.close()


STUCK = """
import os, sys, time
from hostler._log_standard import StandardLogger
from hostler.settings import Settings
log = StandardLogger(Settings(accesslog="-", errorlog="-"))
os.write(3, b"ready")
for number in range(3000):
    log.error.info("%s", "x" * 200)
os.write(3, b"done")
os.read(4, 1)
log.error.info("again")
log.error.info("last")
os.write(3, b"end")
os.read(4, 1)
"""


def test_a_reader_that_stops_never_stops_the_server() -> None:
    reading, writing = os.pipe()
    said, say = os.pipe()
    heard, hear = os.pipe()

    def set_up() -> None:
        os.dup2(say, 13)
        os.dup2(heard, 14)
        os.dup2(13, 3)
        os.dup2(14, 4)

    server = subprocess.Popen(
        [sys.executable, "-c", STUCK], stderr=writing, pass_fds=(say, heard, 3, 4), preexec_fn=set_up
    )
    os.close(writing)
    assert os.read(said, 5) == b"ready"
    # Nobody reads: 3000 lines of more than 200 octets do not fit a pipe.
    assert os.read(said, 4) == b"done"
    taken = _drain(reading)
    os.write(hear, b"x")
    assert os.read(said, 3) == b"end"
    taken += _drain(reading)
    os.write(hear, b"x")
    assert server.wait(30) == 0
    lines = taken.decode().splitlines()
    assert len(lines) < 3000
    assert lines[-1].endswith("last")
    assert sum("lost here" in each for each in lines) == 1
    assert all(
        each.endswith(("x" * 200, "lost here because they could not be written", "again", "last"))
        for each in lines
    )
    for descriptor in (reading, said, say, heard, hear):
        os.close(descriptor)


def _drain(descriptor: int) -> bytes:
    found = b""
    while select.select([descriptor], [], [], 0.2)[0]:
        block = os.read(descriptor, 65536)
        if not block:
            break
        found += block
    return found


@pytest.mark.parametrize("target", ["-", "/dev/stdout", "/proc/self/fd/1"])
def test_standard_output_that_is_a_socket(target: str) -> None:
    """As a unit's journal is."""
    code = (
        "import sys; from hostler._log_output import Output; output = Output(sys.argv[1], standard='stdout'); "
        "output.write(b'one\\n'); output.reopen(); output.write(b'two\\n')"
    )
    here, there = socket.socketpair()
    with here:
        here.settimeout(20)
        done = subprocess.run([sys.executable, "-c", code, target], stdout=there.fileno(), timeout=60)
        there.close()
        assert done.returncode == 0
        taken = b""
        while block := here.recv(100):
            taken += block
    assert taken == b"one\ntwo\n"


def test_a_named_pipe_without_reader(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    output = Output(str(path))
    for _ in range(5000):
        output.write(b"x" * 100 + b"\n")
    assert output.dropped
    output.close()


CAPTURE = """
import os, sys
from hostler._log_standard import StandardLogger
from hostler.settings import Settings
log = StandardLogger(Settings(errorlog=sys.argv[1], capture_output=True))
print("printed", flush=True)
os.rename(sys.argv[1], sys.argv[1] + ".1")
log.reopen()
print("later", flush=True)
os.system("echo from a child")
"""


def test_capture_output(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    done = subprocess.run([sys.executable, "-c", CAPTURE, str(path)], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert text(tmp_path / "error.log.1") == "printed\n"
    assert text(path) == "later\nfrom a child\n"


def test_a_file_belongs_to_the_workers_user(tmp_path: Path) -> None:
    user, group = (1234, 2345) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    log = StandardLogger(Settings(errorlog=str(tmp_path / "e"), user=user, group=group))
    found = (tmp_path / "e").stat()
    assert (found.st_uid, found.st_gid) == (user, group)
    log._close_outputs()


# -- logging configurations ----------------------------------------------------------------------------

INI = """
[loggers]
keys=root, {names}
[handlers]
keys=file
[formatters]
keys=plain
[logger_root]
level=INFO
handlers=file
[logger_{first}]
level=INFO
handlers=file
propagate=0
qualname={qualname}.error
[logger_{second}]
level=INFO
handlers=file
propagate=0
qualname={qualname}.access
[handler_file]
class=FileHandler
formatter=plain
args=({path!r},)
[formatter_plain]
format=%(name)s %(message)s
"""


def dictionary(path: Path, name: str) -> dict[str, Any]:
    return {
        "version": 1,
        "formatters": {"plain": {"format": "%(name)s %(message)s"}},
        "handlers": {"file": {"class": "logging.FileHandler", "filename": str(path), "formatter": "plain"}},
        "root": {"level": "INFO", "handlers": []},
        "loggers": {
            f"{name}.error": {"level": "INFO", "handlers": ["file"], "propagate": False},
            f"{name}.access": {"level": "INFO", "handlers": ["file"], "propagate": False},
        },
    }


def configurations(tmp_path: Path, name: str, kind: str) -> dict[str, Any]:
    path = tmp_path / "own.log"
    if kind == "logconfig_dict":
        return {kind: dictionary(path, name)}
    target = tmp_path / "configuration"
    if kind == "logconfig_json":
        target.write_text(json.dumps(dictionary(path, name)))
    else:
        target.write_text(INI.format(names="e, a", first="e", second="a", qualname=name, path=str(path)))
    return {kind: str(target)}


@pytest.mark.parametrize("name", ["gunicorn", "hostler"])
@pytest.mark.parametrize("kind", ["logconfig_dict", "logconfig_json", "logconfig"])
def test_own_configuration(opened: Any, tmp_path: Path, name: str, kind: str, line: Any) -> None:
    log = opened(**configurations(tmp_path, name, kind), access_log_format="%(s)s %({x-a}i)s")
    assert log.access_wanted
    log.error.info("to the error log")
    log.access(line(fields=[(b"x-a", b"1")]))
    log.flush()
    found = text(tmp_path / "own.log").splitlines()
    assert [each.partition(" ")[2] for each in found] == ["to the error log", "200 1"]
    assert not (tmp_path / "error.log").exists()


def test_formatters_see_every_atom(opened: Any, tmp_path: Path, line: Any) -> None:
    configuration = dictionary(tmp_path / "own.log", "gunicorn")
    configuration["formatters"]["plain"] = {"()": "logging.Formatter", "fmt": "%(args)s"}
    log = opened(logconfig_dict=configuration)
    log.access(line())
    assert "'h': '192.0.2.1'" in text(tmp_path / "own.log")


@pytest.mark.parametrize("kind", ["logconfig_dict", "logconfig_json", "logconfig"])
def test_a_bad_configuration_keeps_the_old_one(opened: Any, tmp_path: Path, kind: str) -> None:
    log = opened()
    value: Any = {"version": 1, "handlers": {"x": {"class": "no.such.Class"}}, "root": {"handlers": ["x"]}}
    if kind != "logconfig_dict":
        (tmp_path / "bad").write_text("[loggers\nkeys")
        value = str(tmp_path / "bad")
    with pytest.raises(ConfigError, match=kind) as caught:
        opened(**{kind: value})
    assert "\n" not in str(caught.value)
    log.error.info("still here")
    assert "still here" in text(tmp_path / "error.log")


@pytest.mark.parametrize("kind", ["logconfig_json", "logconfig"])
def test_a_missing_configuration(opened: Any, kind: str) -> None:
    with pytest.raises(ConfigError, match="/no/such"):
        opened(**{kind: "/no/such"})


def test_reopen_with_own_handlers(opened: Any, tmp_path: Path) -> None:
    log = opened(**configurations(tmp_path, "gunicorn", "logconfig_dict"))
    (tmp_path / "own.log").rename(tmp_path / "own.log.1")
    log.reopen()
    log.error.info("after")
    assert "after" in text(tmp_path / "own.log")


def test_what_can_be_checked_without_opening() -> None:
    check(Settings(syslog=True, errorlog="/no/such/file"))
    with pytest.raises(ConfigError, match="no atom"):
        check(Settings(access_log_format="%(nonsense)s"))
    with pytest.raises(ConfigError, match="syslog_addr"):
        check(Settings(syslog=True, syslog_addr="nonsense"))


# -- the chosen logger ---------------------------------------------------------------------------------


def open_other(settings: Settings, own: Any) -> Any:
    return "other", settings, own


@dataclasses.dataclass
class Configuration:
    settings: Settings
    logger: LoggerType
    own: dict[str, Any]


def test_another_logger() -> None:
    settings = Settings()
    chosen = LoggerType("other", open=f"{__name__}:open_other")
    found: Any = open_logger(Configuration(settings, chosen, {"other": 3}))  # type: ignore[arg-type]
    assert found == ("other", settings, 3)
