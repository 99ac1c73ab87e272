"""The pytest plugin: the option `--hostler-worker` and the fixtures that start servers.

The suites ask for fixtures only, so that they run on any worker: `server` starts one with settings of the
test's own, `site` is one server with the kit's application shared by the whole session.
"""

from __future__ import annotations

import ast
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hostler_testkit.certificate import Certificate, make_certificate
from hostler_testkit.installed import imported, plugin_value, worker_type, worker_types
from hostler_testkit.protocol import CHECKS, vectors_for
from hostler_testkit.server import Server

pytest.register_assert_rewrite("hostler_testkit.conformance")

APPLICATIONS = {
    "wsgi": "hostler_testkit.applications.wsgi:app",
    "asgi": "hostler_testkit.applications.asgi:app",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the kit's options."""
    options = parser.getgroup("hostler")
    options.addoption(
        "--hostler-worker",
        metavar="NAME",
        help="worker class that the conformance suites run on; several with commas (default: sync)",
    )
    options.addoption(
        "--hostler-protocol",
        metavar="NAME",
        help="protocol, or module:VALUE, that the protocol suite runs on (default: http1)",
    )
    options.addoption(
        "--hostler-service", metavar="NAME", help="service, or module:VALUE, that the service suite runs on"
    )
    options.addoption(
        "--hostler-service-settings",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a setting, as Python source, that makes the service run; may be repeated",
    )
    options.addoption(
        "--hostler-vectors",
        metavar="MODULE:NAME",
        help="a mapping of names to octets of a client, for a protocol that the kit does not know",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Give SIGINT its default back where a job in the background inherited it ignored, as servers would."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each suite on the workers named on the command line, else on those that its module names."""
    if "protocol_vector" in metafunc.fixturenames:
        generate_protocol_tests(metafunc)
    if "hostler_service" in metafunc.fixturenames:
        named = metafunc.config.getoption("--hostler-service")
        names = [named] if named else list(getattr(metafunc.module, "SERVICES", ()))
        metafunc.parametrize("hostler_service", names, indirect=True)
    own = any(
        "hostler_worker" in str(mark.args[:1]) for mark in metafunc.definition.iter_markers("parametrize")
    )
    if "hostler_worker" not in metafunc.fixturenames or own:
        return
    named = metafunc.config.getoption("--hostler-worker")
    if named:
        names = [name.strip() for name in named.split(",")]
    else:
        names = list(getattr(metafunc.module, "WORKERS", ("sync",)))
    interface = getattr(metafunc.module, "INTERFACE", None)
    fitting = [name for name in names if interface in (None, worker_type(name).interface)]
    if "tunnels" in metafunc.fixturenames:
        fitting = [name for name in fitting if worker_type(name).tunnels]
    metafunc.parametrize("hostler_worker", fitting or ["none"], indirect=True, scope="session")


def generate_protocol_tests(metafunc: pytest.Metafunc) -> None:
    """Each check with each vector of each protocol."""
    named = metafunc.config.getoption("--hostler-protocol")
    names = named.split(",") if named else list(getattr(metafunc.module, "PROTOCOLS", ("http1",)))
    given = metafunc.config.getoption("--hostler-vectors")
    rows = []
    for name in names:
        value = plugin_value("hostler.protocols", name)
        own = getattr(metafunc.module, "PROTOCOL_VECTORS", None)
        vectors = imported(given) if given else own or vectors_for(value.name)
        for check in CHECKS:
            for title, octets in vectors.items():
                rows.append(pytest.param(value, check, (title, octets), id=f"{value.name}-{check}-{title}"))
    metafunc.parametrize(("hostler_protocol", "protocol_check", "protocol_vector"), rows)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a suite has for another interface than the worker's."""

    def fits(item: pytest.Item) -> bool:
        call = getattr(item, "callspec", None)
        return call is None or call.params.get("hostler_worker") != "none"

    other = [item for item in items if not fits(item)]
    if other:
        config.hook.pytest_deselected(items=other)
        items[:] = [item for item in items if fits(item)]


@pytest.fixture(scope="session")
def hostler_worker(request: pytest.FixtureRequest) -> str:
    """The name of the worker class under test."""
    return str(request.param)


@pytest.fixture
def tunnels() -> None:
    """Asked for by tests of WebSockets: they run on workers that say that they carry tunnels."""


@pytest.fixture(scope="session")
def worker_value(hostler_worker: str) -> Any:
    """The `WorkerType` under test."""
    return worker_types().get(hostler_worker) or worker_type(hostler_worker)


@pytest.fixture(scope="session")
def application(worker_value: Any) -> str:
    """The kit's application for the worker's interface, as the command line takes it."""
    return APPLICATIONS[worker_value.interface]


@pytest.fixture(scope="session")
def hostler_directory() -> Iterator[Path]:
    """A short path for the session: a Unix socket's name has 107 octets at most."""
    directory = Path(tempfile.mkdtemp(prefix="hostler-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def certificate(hostler_directory: Path) -> Certificate:
    """A certificate for localhost."""
    return make_certificate(hostler_directory)


class Starter:
    """Starts servers and ends them."""

    def __init__(self, root: Path, worker: str, application: str) -> None:
        self._root, self._worker, self._application = root, worker, application
        self._started: list[Server] = []

    def make(self, application: str | None = None, **settings: Any) -> Server:
        """A server that is not started yet."""
        settings.setdefault("worker", self._worker)
        directory = Path(tempfile.mkdtemp(dir=self._root))
        made = Server(directory, application or self._application, **settings)
        self._started.append(made)
        return made

    def __call__(self, application: str | None = None, *, wait: bool = True, **settings: Any) -> Server:
        return self.make(application, **settings).start(wait)

    def end(self) -> None:
        """Kill what still runs, and show the logs beside a failure."""
        for each in self._started:
            print(f"--- {each.directory.name}: {each.configuration.read_text()}\n{each.log()}")  # noqa: T201
            each.kill()
        self._started.clear()


@pytest.fixture
def server(hostler_directory: Path, hostler_worker: str, application: str) -> Iterator[Starter]:
    """Start a server: `server(APPLICATION?, wait=True, bind=…, configuration="…", **settings)`."""
    starter = Starter(hostler_directory, hostler_worker, application)
    yield starter
    starter.end()


@pytest.fixture
def hostler_service(request: pytest.FixtureRequest) -> Any:
    """The `ServiceType` under test."""
    return plugin_value("hostler.services", request.param)


@pytest.fixture
def service_server(
    request: pytest.FixtureRequest, hostler_directory: Path, hostler_service: Any
) -> Iterator[Server]:
    """A server with the sync worker that runs the service under test."""
    settings = dict(getattr(request.module, "SETTINGS", {}))
    for text in request.config.getoption("--hostler-service-settings"):
        name, _, source = text.partition("=")
        settings[name] = ast.literal_eval(source)
    starter = Starter(hostler_directory, "sync", APPLICATIONS["wsgi"])
    yield starter(**settings)
    starter.end()


@pytest.fixture(scope="session")
def sites(hostler_directory: Path, hostler_worker: str, application: str) -> Iterator[Callable[..., Server]]:
    """Servers that are shared by the session: the same settings give the same server."""
    starter = Starter(hostler_directory, hostler_worker, application)
    kept: dict[str, Server] = {}

    def shared(**settings: Any) -> Server:
        key = repr(sorted(settings.items()))
        if key not in kept:
            kept[key] = starter(**settings)
        return kept[key]

    yield shared
    starter.end()


@pytest.fixture(scope="session")
def site(sites: Callable[..., Server]) -> Server:
    """One server with the kit's application and ordinary settings, for tests that leave it as it was."""
    return sites()
