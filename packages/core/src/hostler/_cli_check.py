"""`--check-config`: everything that can be wrong before the first request, tried in a child.

The application's code runs in the child alone, so that what it does to its process, and how it ends it, is
not felt here.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import traceback
from typing import Any

from hostler import _app, _log_standard
from hostler._bind import binds
from hostler._configuration import Configuration
from hostler._named import named
from hostler.errors import HostlerError, PluginError


def check(configuration: Configuration, prog: str) -> int:
    """0 when a server with this configuration would start, else 1 with the reason on standard error."""
    for warning in configuration.warnings:
        _say(f"{prog}: warning: {warning}")
    sys.stdout.flush()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(configuration, prog, writer)
    os.close(writer)
    said = _await(reader, configuration.settings.boot_timeout)
    os.close(reader)
    if said is None:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if said is None:
        _say(f"{prog}: error: the application was not loaded in {configuration.settings.boot_timeout:g} s")
    elif said == b"":
        code = os.waitstatus_to_exitcode(status)
        end = f"was killed by signal {-code}" if code < 0 else f"ended its process with code {code}"
        _say(f"{prog}: error: the application {end} while it was loaded")
    return 0 if said == GOOD else 1


GOOD, BAD = b"+", b"-"
"""What the child says when it is done; nothing when it did not come so far."""


def _await(reader: int, seconds: float) -> bytes | None:
    """What the child said, nothing if it ended without a word, None when the time was over."""
    ready, _, _ = select.select([reader], [], [], seconds or None)
    return os.read(reader, 1) if ready else None


def _child(configuration: Configuration, prog: str, writer: int) -> None:
    word = BAD
    try:
        _try(configuration)
        word = GOOD
    except HostlerError as error:
        _say(f"{prog}: error: {error}")
    except SystemExit as error:
        _say(f"{prog}: error: the application ended its process: SystemExit: {error}")
    except BaseException as error:  # noqa: BLE001  # the wall around the user's code
        traceback.print_exc()
        _say(f"{prog}: error: the application cannot be loaded: {type(error).__name__}: {error}")
    finally:
        with contextlib.suppress(OSError, ValueError):  # whatever happens, this child must not live on
            sys.stdout.flush()
            os.write(writer, word)
        os._exit(0)


def _try(configuration: Configuration) -> None:
    settings, worker = configuration.settings, configuration.worker
    if settings.chdir:
        os.chdir(settings.chdir)
    for variable in settings.raw_env:
        name, _, value = variable.partition("=")
        os.environ[name] = value
    # In the order of a start: what the arbiter and the services import comes before a worker patches modules.
    for bind in binds(settings):
        if bind.certificates is not None:
            from hostler import _tls  # noqa: PLC0415  # OpenSSL, only for those who use it

            _tls.prepare(bind, configuration)
    _import(configuration.logger.open)
    _log_standard.check(settings)
    for service in configuration.services:
        _import(service.serve)
    if worker.prepare:
        _import(worker.prepare)(configuration.own.get(worker.name))
    for path in (worker.serve, *(one.open for one in configuration.protocols)):
        _import(path)
    if configuration.reloader is not None:
        _import(configuration.reloader.open)
    _app.prepare_path(settings)
    _app.load(settings)


def _import(path: str) -> Any:
    """A plugin's code, whose errors are not the application's."""
    try:
        return named(path)
    except HostlerError:
        raise
    except Exception as error:
        raise PluginError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # an answer to the command
