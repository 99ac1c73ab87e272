"""Every setting and hook of gunicorn that is the core's: by file and by flag, with gunicorn's meaning.

What gunicorn has and the core has not belongs to a plugin; the last test holds the two lists together.
"""

from __future__ import annotations

from typing import Any

import pytest
from hostler._known import owner
from hostler.settings import Settings, declarations

LOOPBACK = ("127.0.0.1", "::1")

VALUES: list[tuple[str, str, str, Any, Any]] = [
    # name, flag and value on the command line, value in a Python file, what the setting is then
    ("wsgi_app", "a:b", "", "a:b", "a:b"),
    ("bind", "-b", ":1", ":1", (":1",)),
    ("bind", "--bind", "unix:/x", ["unix:/x"], ("unix:/x",)),
    ("backlog", "--backlog", "64", 64, 64),
    ("reuse_port", "--reuse-port", "", True, True),
    ("workers", "-w", "3", 3, 3),
    ("workers", "--workers", "0", "0", 0),
    ("worker_class", "-k", "sync", "sync", "sync"),
    ("worker_class", "--worker-class", "sync", "sync", "sync"),
    ("threads", "--threads", "1", 1, 1),
    ("worker_connections", "--worker-connections", "10", 10, 10),
    ("max_requests", "--max-requests", "10", 10, 10),
    ("max_requests_jitter", "--max-requests-jitter", "0", 0, 0),
    ("timeout", "-t", "31", 31, 31.0),
    ("timeout", "--timeout", "0", 0, 0.0),
    ("graceful_timeout", "--graceful-timeout", "31", 31, 31.0),
    ("keepalive", "--keep-alive", "3", 3, 3.0),
    ("limit_request_line", "--limit-request-line", "4094", 4094, 4094),
    ("limit_request_fields", "--limit-request-fields", "90", 90, 90),
    ("limit_request_field_size", "--limit-request-field_size", "8000", 8000, 8000),
    ("limit_request_field_size", "--limit-request-field-size", "0", 0, 0),
    ("permit_obsolete_folding", "--permit-obsolete-folding", "", True, True),
    ("strip_header_spaces", "--strip-header-spaces", "", True, True),
    ("permit_unconventional_http_method", "--permit-unconventional-http-method", "", True, True),
    ("permit_unconventional_http_version", "--permit-unconventional-http-version", "", True, True),
    ("casefold_http_method", "--casefold-http-method", "", True, True),
    ("forwarder_headers", "--forwarder-headers", "A_B,C", "A_B,C", ("A_B", "C")),
    ("header_map", "--header-map", "refuse", "refuse", "refuse"),
    (
        "forwarded_allow_ips",
        "--forwarded-allow-ips",
        "10.0.0.0/8,::1",
        "10.0.0.0/8,::1",
        ("10.0.0.0/8", "::1"),
    ),
    ("reload", "--reload", "", True, True),
    ("reload_engine", "--reload-engine", "poll", "poll", "poll"),
    ("reload_extra_files", "--reload-extra-file", "a", ["a"], ("a",)),
    ("spew", "--spew", "", True, True),
    ("check_config", "--check-config", "", True, True),
    ("print_config", "--print-config", "", True, True),
    ("preload_app", "--preload", "", True, True),
    ("sendfile", "--no-sendfile", "", False, False),
    ("chdir", "--chdir", "/", "/", "/"),
    ("daemon", "-D", "", True, True),
    ("daemon", "--daemon", "", True, True),
    ("raw_env", "-e", "A=1", ["A=1"], ("A=1",)),
    ("raw_env", "--env", "A=1", ["A=1"], ("A=1",)),
    ("pidfile", "-p", "/x", "/x", "/x"),
    ("pidfile", "--pid", "/x", "/x", "/x"),
    ("user", "-u", "0", 0, 0),
    ("user", "--user", "root", "root", 0),
    ("group", "-g", "0", 0, 0),
    ("group", "--group", "0", "0", 0),
    ("umask", "-m", "0022", 0o022, 0o022),
    ("umask", "--umask", "0x12", 0x12, 0x12),
    ("initgroups", "--initgroups", "", False, True),
    ("pythonpath", "--pythonpath", "/a,/b", "/a,/b", ("/a", "/b")),
    ("paste", "--paste", "x.ini", "x.ini", "x.ini"),
    ("paste", "--paster", "x.ini#app", "x.ini#app", "x.ini#app"),
    ("raw_paste_global_conf", "--paste-global", "a=b", ["a=b"], ("a=b",)),
    ("proxy_protocol", "--proxy-protocol", "", True, "auto"),
    ("proxy_protocol", "--proxy-protocol", "v2", "v2", "v2"),
    ("proxy_allow_ips", "--proxy-allow-from", "*", "*", ("*",)),
    ("protocol", "--protocol", "http", "http", "http"),
    ("root_path", "--root-path", "/a", "/a", "/a"),
    ("uwsgi_allow_ips", "--uwsgi-allow-from", "10.0.0.1", "10.0.0.1", ("10.0.0.1",)),
    ("accesslog", "--access-logfile", "-", "-", "-"),
    ("disable_redirect_access_to_syslog", "--disable-redirect-access-to-syslog", "", True, True),
    ("access_log_format", "--access-logformat", "%(h)s", "%(h)s", "%(h)s"),
    ("errorlog", "--error-logfile", "x", "x", "x"),
    ("errorlog", "--log-file", "-", "-", "-"),
    ("loglevel", "--log-level", "debug", "DEBUG", "debug"),
    ("capture_output", "--capture-output", "", True, True),
    ("logger_class", "--logger-class", "std", "std", "std"),
    ("logconfig", "--log-config", "x", "x", "x"),
    ("logconfig_json", "--log-config-json", "x", "x", "x"),
    ("syslog", "--log-syslog", "", True, True),
    ("syslog_addr", "--log-syslog-to", "unix:///dev/log", "unix:///dev/log", "unix:///dev/log"),
    ("syslog_prefix", "--log-syslog-prefix", "x", "x", "x"),
    ("syslog_facility", "--log-syslog-facility", "local1", "local1", "local1"),
    ("enable_stdio_inheritance", "-R", "", True, True),
    ("enable_stdio_inheritance", "--enable-stdio-inheritance", "", True, True),
    ("proc_name", "-n", "x", "x", "x"),
    ("proc_name", "--name", "x", "x", "x"),
    ("ca_certs", "--ca-certs", "/etc/passwd", "/etc/passwd", "/etc/passwd"),
    ("cert_reqs", "--cert-reqs", "2", 2, 2),
    ("ciphers", "--ciphers", "x", "x", "x"),
    ("http_protocols", "--http-protocols", "h1", "h1", ("h1",)),
    ("control_socket", "--control-socket", "/x", "/x", "/x"),
    ("control_socket_mode", "--control-socket-mode", "0600", 0o600, 0o600),
    ("control_socket_disable", "--no-control-socket", "", True, True),
]

FILE_ONLY: dict[str, tuple[Any, Any]] = {
    "secure_scheme_headers": ({"X-FORWARDED-PROTO": "https"}, {"X-FORWARDED-PROTO": "https"}),
    "logconfig_dict": ({"version": 1}, {"version": 1}),
    "default_proc_name": ("x", "x"),
}

IGNORED: list[tuple[str, str, str, Any]] = [
    ("worker_tmp_dir", "--worker-tmp-dir", "/dev/shm", "/dev/shm"),
    ("tmp_upload_dir", "", "", "/tmp"),
    ("http_parser", "--http-parser", "fast", "fast"),
    ("ssl_version", "--ssl-version", "TLSv1_2", 5),
    ("suppress_ragged_eofs", "--suppress-ragged-eofs", "", False),
    ("do_handshake_on_connect", "--do-handshake-on-connect", "", True),
]

HOOKS = {
    "on_starting": 1, "when_ready": 1, "on_reload": 1, "pre_fork": 2, "post_fork": 2, "post_worker_init": 1,
    "worker_int": 1, "worker_abort": 1, "pre_exec": 1, "pre_request": 2, "post_request": 4, "child_exit": 2,
    "worker_exit": 2, "nworkers_changed": 3, "on_exit": 1, "ssl_context": 2,
}  # fmt: skip

OTHERS = {
    "hostler-asgi": "asgi_loop asgi_lifespan asgi_disconnect_grace_period websocket_max_message_size",
    "hostler-http2": "http2_cleartext http2_max_concurrent_streams http2_initial_window_size "
    "http2_max_frame_size http2_max_header_list_size",
    "hostler-dirty": "dirty_apps dirty_workers dirty_timeout dirty_threads dirty_graceful_timeout "
    "on_dirty_starting dirty_post_fork dirty_worker_init dirty_worker_exit",
    "hostler-statsd": "statsd_host dogstatsd_tags statsd_prefix enable_backlog_metric",
}
"""Whose the settings are that the core does not have."""


@pytest.mark.parametrize(("name", "flag", "text", "value", "expected"), VALUES)
def test_by_flag(configure: Any, name: str, flag: str, text: str, value: Any, expected: Any) -> None:
    configuration = configure(*([flag, text] if text else [flag]))
    assert getattr(configuration.settings, name) == expected
    assert name in configuration.origins


@pytest.mark.parametrize(("name", "flag", "text", "value", "expected"), VALUES)
def test_by_file(configure: Any, name: str, flag: str, text: str, value: Any, expected: Any) -> None:
    configuration = configure(file=f"{name} = {value!r}")
    expected = value if isinstance(value, bool) and name != "proxy_protocol" else expected
    assert getattr(configuration.settings, name) == expected
    assert configuration.origins[name].kind == "file"


@pytest.mark.parametrize("name", FILE_ONLY)
def test_for_files_only(configure: Any, name: str) -> None:
    value, expected = FILE_ONLY[name]
    assert getattr(configure(file=f"{name} = {value!r}").settings, name) == expected


@pytest.mark.parametrize(("name", "flag", "text", "value"), IGNORED)
def test_without_meaning(configure: Any, name: str, flag: str, text: str, value: Any) -> None:
    """Accepted, with one line that says why it does nothing."""
    for configuration in (
        configure(*(part for part in (flag, text) if part)) if flag else None,
        configure(file=f"{name} = {value!r}"),
    ):
        if configuration is not None:
            about = [line for line in configuration.warnings if name in line]
            assert len(about) == 1
            assert "has no effect: " in about[0]
    configure(file="")
    assert configure().warnings == ()


@pytest.mark.parametrize("name", HOOKS)
def test_hooks(configure: Any, name: str) -> None:
    arguments = ", ".join(f"a{number}" for number in range(HOOKS[name]))
    configuration = configure(file=f"def {name}({arguments}):\n    return 'called'\n")
    hook = getattr(configuration.settings, name)
    assert hook(*range(HOOKS[name])) == "called"


def test_hooks_by_text(configure: Any, tmp_path: Any) -> None:
    (tmp_path / "hooks_of_a_test.py").write_text("def ready(server): return 'yes'\n")
    hook = configure(file="when_ready = 'hooks_of_a_test.ready'").settings.when_ready
    assert hook(None) == "yes"


def test_post_request_may_take_fewer(configure: Any) -> None:
    for count in (2, 3, 4):
        arguments = ", ".join(f"a{number}" for number in range(count))
        assert configure(file=f"def post_request({arguments}): pass").settings.post_request is not None


def test_the_list_is_whole() -> None:
    """Nothing of the core's declarations that gunicorn has is left out of this file, and nothing is lost."""
    here = {row[0] for row in VALUES} | set(FILE_ONLY) | {row[0] for row in IGNORED} | set(HOOKS)
    here |= {"config", "certfile", "keyfile"}  # tested where files of theirs are made
    theirs = {name for text in OTHERS.values() for name in text.split()}
    assert here <= set(declarations(Settings))
    assert len(here) + len(theirs) == 120
    for dist, text in OTHERS.items():
        for name in text.split():
            assert owner(name) == dist


@pytest.mark.parametrize("name", [name for text in OTHERS.values() for name in text.split()])
def test_settings_of_plugins_that_are_not_installed(configure: Any, name: str) -> None:
    """A warning, for a file of gunicorn's must run; an error where something asked for would not run."""
    from hostler.errors import ConfigError

    if name in ("statsd_host", "dirty_apps", "dirty_workers"):
        with pytest.raises(ConfigError, match="pip install hostler-"):
            configure(file=f"{name} = 1")
    else:
        warnings = configure(file=f"{name} = 1").warnings
        assert len(warnings) == 1
        assert "is not installed" in warnings[0]
