"""The settings as one frozen value, and the words with which a plugin declares its own.

One field per setting: its type, its default, its kind and its sentence stand side by side. The names, flags
and meanings are gunicorn's where gunicorn has the setting; a default differs where gunicorn's is a known
trap. Settings of plugins live on the plugins' own classes. This module knows no source of values (files,
environment, command line) and no plugin; it stays light to import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hostler._fields import (
    Declaration,
    Invalid,
    Kind,
    anything,
    boolean,
    choice,
    declarations,
    group,
    hook,
    integer,
    mapping,
    mode,
    optional_text,
    seconds,
    setting,
    size,
    text,
    texts,
    user,
    words,
)
from hostler._kinds import (
    assignments,
    certificate_demand,
    field_count,
    headers,
    log_level,
    networks,
    plugin_name,
    proxy_mode,
    tables,
)

__all__ = [
    "Declaration",
    "Invalid",
    "Kind",
    "Settings",
    "anything",
    "boolean",
    "choice",
    "declarations",
    "group",
    "hook",
    "integer",
    "mapping",
    "mode",
    "optional_text",
    "seconds",
    "setting",
    "size",
    "text",
    "texts",
    "user",
    "words",
]

Hook = Callable[..., Any] | None

CONFIG = "Configuration and application"
SOCKET = "Server socket"
WORKERS = "Worker processes"
TIMES = "Time limits of connections"
SECURITY = "Requests and trust"
DEBUGGING = "Debugging"
MECHANICS = "Server mechanics"
LOGGING = "Logging"
TLS = "TLS"
PLUGINS = "Protocols and plugins"
CONTROL = "Control"
HOOKS = "Hooks"

ACCESS_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a user can set in the core. Built once per start and once per reload; never changed."""

    # -- configuration and application -----------------------------------------------------------------

    config: str | None = setting(
        None, kind=optional_text, flags=("-c", "--config"), section=CONFIG,
        help="Configuration file: PATH, file:PATH or python:MODULE. Without it hostler.conf.py, "
        "hostler.toml or [tool.hostler] of pyproject.toml in the working directory is read if there is one.",
    )  # fmt: skip
    wsgi_app: str | None = setting(
        None, kind=optional_text, section=CONFIG,
        help="The application as MODULE:CALLABLE or MODULE:FACTORY(ARGUMENTS); the command line's positional "
        "argument comes before it. Without a callable `application` is taken.",
    )  # fmt: skip

    # -- server socket ---------------------------------------------------------------------------------

    bind: tuple[str, ...] = setting(
        ("127.0.0.1:8000",), kind=texts, flags=("-b", "--bind"), section=SOCKET,
        help="Address to listen on: HOST:PORT, [V6]:PORT, unix:PATH, fd://N, or a URL whose scheme says "
        "what is spoken there (https://0.0.0.0:443, uwsgi://127.0.0.1:3031). May be given several times. "
        "With the variable PORT set the default is 0.0.0.0:$PORT.",
    )  # fmt: skip
    listen: tuple[Mapping[str, Any], ...] = setting(
        (), kind=tables, cli=False, section=SOCKET,
        help="Listeners with rules of their own, as [[listen]] tables of a TOML file or a list of "
        "dictionaries: `bind` and any of the settings that a listener has (TLS, protocols, trust).",
    )  # fmt: skip
    backlog: int = setting(
        2048, kind=integer(1), section=SOCKET,
        help="How many connections may wait in the kernel to be accepted.",
    )  # fmt: skip
    reuse_port: bool = setting(
        False, kind=boolean, section=SOCKET,
        help="Give every worker a socket of its own on the same address (SO_REUSEPORT).",
    )  # fmt: skip
    socket_mode: int = setting(
        0o660, kind=mode, section=SOCKET,
        help="Permissions of Unix sockets. When only `umask` is set, they are 0666 less the umask.",
    )  # fmt: skip

    # -- worker processes ------------------------------------------------------------------------------

    workers: int = setting(
        1, kind=integer(0), flags=("-w", "--workers"), environment="WEB_CONCURRENCY", section=WORKERS,
        help="Number of worker processes.",
    )  # fmt: skip
    worker_class: str = setting(
        "sync", kind=plugin_name, flags=("-k", "--worker-class"), section=WORKERS,
        help="Kind of worker: the name of an installed one (`hostler plugins` lists them), DIST#NAME, or "
        "MODULE:ATTRIBUTE.",
    )  # fmt: skip
    threads: int = setting(
        1, kind=integer(1), section=WORKERS,
        help="Threads per worker that run the application. More than one with the sync worker selects "
        "gthread.",
    )  # fmt: skip
    worker_connections: int = setting(
        1000, kind=integer(1), section=WORKERS,
        help="Connections that one worker holds at most; further ones wait in the backlog.",
    )  # fmt: skip
    max_requests: int = setting(
        0, kind=integer(0), section=WORKERS,
        help="Replace a worker after so many requests; 0: never.",
    )  # fmt: skip
    max_requests_jitter: int = setting(
        0, kind=integer(0), section=WORKERS,
        help="Add a random number from 0 to this to `max_requests`, so that workers do not leave together.",
    )  # fmt: skip
    max_worker_lifetime: float = setting(
        0.0, kind=seconds(), section=WORKERS,
        help="Replace a worker after so many seconds; 0: never. Only one worker leaves at a time.",
    )  # fmt: skip
    max_worker_rss: int = setting(
        0, kind=size(), section=WORKERS,
        help="Replace a worker whose own memory passes this; 0: never. Only one worker leaves at a time.",
    )  # fmt: skip
    timeout: float = setting(
        30.0, kind=seconds(), flags=("-t", "--timeout"), section=WORKERS,
        help="Seconds without a sign of life after which a worker is aborted and replaced; 0: never. It "
        "bounds a request only in workers that run it in their loop (sync).",
    )  # fmt: skip
    graceful_timeout: float = setting(
        30.0, kind=seconds(), section=WORKERS,
        help="Seconds that requests in flight get to finish when a worker stops.",
    )  # fmt: skip
    boot_timeout: float = setting(
        60.0, kind=seconds(), section=WORKERS,
        help="Seconds until a new worker must have loaded the application; 0: no limit.",
    )  # fmt: skip

    # -- time limits of connections --------------------------------------------------------------------

    keepalive: float = setting(
        5.0, kind=seconds(), flags=("--keep-alive",), section=TIMES,
        help="Seconds that a connection may idle between requests; 0: one request per connection. Behind a "
        "proxy choose more than the proxy's own idle time.",
    )  # fmt: skip
    keepalive_requests: int = setting(
        1000, kind=integer(0), section=TIMES,
        help="Requests that one connection may carry; 0: no limit.",
    )  # fmt: skip
    connection_lifetime: float = setting(
        3600.0, kind=seconds(), section=TIMES,
        help="Seconds after which a connection takes no further request; 0: no limit.",
    )  # fmt: skip
    first_byte_timeout: float = setting(
        10.0, kind=seconds(), section=TIMES,
        help="Seconds until a new connection must send its first byte; 0: no limit.",
    )  # fmt: skip
    header_timeout: float = setting(
        15.0, kind=seconds(), section=TIMES,
        help="Seconds from the first byte of a request until its head must be complete; 0: no limit.",
    )  # fmt: skip
    body_timeout: float = setting(
        30.0, kind=seconds(), section=TIMES,
        help="Seconds without any byte of a body that is awaited; 0: no limit.",
    )  # fmt: skip
    body_min_rate: int = setting(
        240, kind=size(), section=TIMES,
        help="Octets per second that a client must send of a body, on average after the first 5 s; 0: no "
        "limit.",
    )  # fmt: skip
    write_timeout: float = setting(
        30.0, kind=seconds(), section=TIMES,
        help="Seconds without progress while a client does not take its response; 0: no limit.",
    )  # fmt: skip
    write_min_rate: int = setting(
        240, kind=size(), section=TIMES,
        help="Octets per second that a client must take of a response that waits for it, on average after "
        "the first 5 s; 0: no limit.",
    )  # fmt: skip
    tls_handshake_timeout: float = setting(
        10.0, kind=seconds(), section=TIMES,
        help="Seconds for a whole TLS handshake; 0: no limit.",
    )  # fmt: skip
    linger_timeout: float = setting(
        2.0, kind=seconds(), section=TIMES,
        help="Seconds that a refused connection is still read, so that its client can read the answer.",
    )  # fmt: skip

    # -- requests and trust ----------------------------------------------------------------------------

    limit_request_line: int = setting(
        8190, kind=size(0, 65536), section=SECURITY,
        help="Octets of a request line; 0: as `limit_request_head`. Longer ones are answered with 414.",
    )  # fmt: skip
    limit_request_fields: int = setting(
        100, kind=field_count, section=SECURITY,
        help="Header fields of a request, at most 32768; 0 is 32768. More are answered with 431.",
    )  # fmt: skip
    limit_request_field_size: int = setting(
        8190, kind=size(), section=SECURITY,
        flags=("--limit-request-field-size", "--limit-request-field_size"),
        help="Octets of one header field; 0: as `limit_request_head`. Longer ones are answered with 431.",
    )  # fmt: skip
    limit_request_head: int = setting(
        65536, kind=size(1024), section=SECURITY,
        help="Octets of a whole request head. Longer ones are answered with 431.",
    )  # fmt: skip
    limit_request_body: int = setting(
        1 << 30, kind=size(), section=SECURITY,
        help="Octets of a request body; 0: no limit. Longer ones are answered with 413.",
    )  # fmt: skip
    permit_obsolete_folding: bool = setting(
        False, kind=boolean, section=SECURITY,
        help="Accept header values that are folded over several lines (RFC 9112, section 5.2).",
    )  # fmt: skip
    strip_header_spaces: bool = setting(
        False, kind=boolean, section=SECURITY,
        help="Remove blanks before the colon of a header instead of refusing the request. Unsafe behind a "
        "proxy.",
    )  # fmt: skip
    permit_unconventional_http_method: bool = setting(
        False, kind=boolean, section=SECURITY,
        help="Accept methods with characters or lengths that no registered method has.",
    )  # fmt: skip
    permit_unconventional_http_version: bool = setting(
        False, kind=boolean, section=SECURITY,
        help="Accept HTTP versions other than 1.0 and 1.1 in a request line.",
    )  # fmt: skip
    casefold_http_method: bool = setting(
        False, kind=boolean, section=SECURITY,
        help="Turn methods into capitals. Methods are case-sensitive (RFC 9110, section 9.1); not "
        "recommended.",
    )  # fmt: skip
    forwarder_headers: tuple[str, ...] = setting(
        ("SCRIPT_NAME", "PATH_INFO"), kind=words, section=SECURITY,
        help="Header names with an underscore that trusted peers may send.",
    )  # fmt: skip
    header_map: str = setting(
        "drop", kind=choice("drop", "refuse", "dangerous"), section=SECURITY,
        help="What becomes of header names with an underscore: they are dropped, the request is refused, or "
        "they are let through (dangerous: they can pass for another header).",
    )  # fmt: skip
    secure_scheme_headers: Mapping[str, str] = setting(
        factory=lambda: {
            "X-FORWARDED-PROTOCOL": "ssl",
            "X-FORWARDED-PROTO": "https",
            "X-FORWARDED-SSL": "on",
        },
        kind=headers, cli=False, section=SECURITY,
        help="Header fields, and their values, with which a trusted peer says that its client came by https.",
    )  # fmt: skip
    forwarded_allow_ips: tuple[str, ...] = setting(
        LOOPBACK, kind=networks, environment="FORWARDED_ALLOW_IPS", section=SECURITY,
        help="Peers whose forwarding headers are believed: addresses, networks (10.0.0.0/8), `unix` for the "
        "peers of Unix sockets, * for everyone.",
    )  # fmt: skip
    proxy_forwarded_for: bool = setting(
        True, kind=boolean, section=SECURITY,
        help="Take the client's address from X-Forwarded-For or Forwarded of trusted peers.",
    )  # fmt: skip
    strip_forwarded: bool = setting(
        False, kind=boolean, section=SECURITY,
        help="Remove forwarding headers that come from peers that are not trusted.",
    )  # fmt: skip
    proxy_protocol: str = setting(
        "off", kind=proxy_mode, section=SECURITY, constant="auto",
        help="PROXY protocol in front of each connection of the allowed peers: off, v1, v2 or auto (the "
        "bare flag).",
    )  # fmt: skip
    proxy_allow_ips: tuple[str, ...] = setting(
        LOOPBACK, kind=networks, flags=("--proxy-allow-from",), section=SECURITY,
        help="Peers that send the PROXY protocol, and must: addresses, networks, `unix`, *.",
    )  # fmt: skip
    uwsgi_allow_ips: tuple[str, ...] = setting(
        (*LOOPBACK, "unix"), kind=networks, flags=("--uwsgi-allow-from",), section=SECURITY,
        help="Peers that may speak the uWSGI protocol: addresses, networks, *. Those on Unix sockets always may.",
    )  # fmt: skip
    root_path: str = setting(
        "", kind=text, section=SECURITY,
        help="Path under which the application is mounted: ASGI's root_path.",
    )  # fmt: skip
    server_header: bool = setting(
        True, kind=boolean, section=SECURITY,
        help="Send a Server header field (without a version) when the application sends none.",
    )  # fmt: skip

    # -- debugging -------------------------------------------------------------------------------------

    reload: bool = setting(
        False, kind=boolean, section=DEBUGGING,
        help="Restart the workers when a source file changes. For development.",
    )  # fmt: skip
    reload_engine: str = setting(
        "auto", kind=plugin_name, section=DEBUGGING,
        help="How changes are noticed: auto, poll, inotify, or the name of an installed reloader.",
    )  # fmt: skip
    reload_extra_files: tuple[str, ...] = setting(
        (), kind=texts, flags=("--reload-extra-file",), section=DEBUGGING,
        help="Further file, or pattern of files (templates/**/*.html), that `reload` watches.",
    )  # fmt: skip
    spew: bool = setting(
        False, kind=boolean, section=DEBUGGING,
        help="Print every line of Python that runs. Very slow.",
    )  # fmt: skip
    check_config: bool = setting(
        False, kind=boolean, section=DEBUGGING,
        help="Check the settings and load the application, then exit with 0 or, with the reason, 1.",
    )  # fmt: skip
    print_config: bool = setting(
        False, kind=boolean, section=DEBUGGING,
        help="Print the settings, check them as `check_config` does, and exit.",
    )  # fmt: skip

    # -- server mechanics ------------------------------------------------------------------------------

    preload_app: bool = setting(
        False, kind=boolean, flags=("--preload",), section=MECHANICS,
        help="Load the application once, before the workers are forked.",
    )  # fmt: skip
    sendfile: bool = setting(
        True, kind=boolean, environment="SENDFILE", section=MECHANICS,
        help="Let the kernel send files (wsgi.file_wrapper).",
    )  # fmt: skip
    chdir: str | None = setting(
        None, kind=optional_text, section=MECHANICS,
        help="Directory to change to before the application is loaded.",
    )  # fmt: skip
    daemon: bool = setting(
        False, kind=boolean, flags=("-D", "--daemon"), section=MECHANICS,
        help="Leave the terminal and run in the background.",
    )  # fmt: skip
    raw_env: tuple[str, ...] = setting(
        (), kind=assignments, flags=("-e", "--env"), section=MECHANICS,
        help="Variable for the application's environment, as NAME=VALUE. May be given several times.",
    )  # fmt: skip
    pidfile: str | None = setting(
        None, kind=optional_text, flags=("-p", "--pid"), section=MECHANICS,
        help="File that holds the arbiter's process id.",
    )  # fmt: skip
    worker_tmp_dir: str | None = setting(
        None, kind=optional_text, section=MECHANICS,
        ignored="workers report through shared memory; there are no heartbeat files to place",
        help="Where gunicorn keeps its heartbeat files.",
    )  # fmt: skip
    user: int | None = setting(
        None, kind=user, flags=("-u", "--user"), section=MECHANICS,
        help="User, as name or number, that the workers run as.",
    )  # fmt: skip
    group: int | None = setting(
        None, kind=group, flags=("-g", "--group"), section=MECHANICS,
        help="Group, as name or number, that the workers run as.",
    )  # fmt: skip
    umask: int = setting(
        0o027, kind=mode, flags=("-m", "--umask"), section=MECHANICS,
        help="Permissions that files made by the server do not get.",
    )  # fmt: skip
    initgroups: bool = setting(
        False, kind=boolean, section=MECHANICS,
        help="Give the workers all the groups of `user`, not only `group`.",
    )  # fmt: skip
    tmp_upload_dir: str | None = setting(
        None, kind=optional_text, cli=False, section=MECHANICS,
        ignored="it names a directory that nothing ever used; large bodies are spooled where TMPDIR says",
        help="Where gunicorn was to store uploads.",
    )  # fmt: skip
    pythonpath: tuple[str, ...] = setting(
        (), kind=words, section=MECHANICS,
        help="Directories that are put at the front of Python's search path.",
    )  # fmt: skip
    paste: str | None = setting(
        None, kind=optional_text, flags=("--paste", "--paster"), section=MECHANICS,
        help="PasteDeploy file, optionally with #NAME, from which the application is loaded.",
    )  # fmt: skip
    raw_paste_global_conf: tuple[str, ...] = setting(
        (), kind=assignments, flags=("--paste-global",), section=MECHANICS,
        help="Global PasteDeploy variable, as NAME=VALUE. May be given several times.",
    )  # fmt: skip

    # -- logging ---------------------------------------------------------------------------------------

    accesslog: str | None = setting(
        None, kind=optional_text, flags=("--access-logfile",), section=LOGGING,
        help="File of the access log; - is standard output. Without it there is none.",
    )  # fmt: skip
    access_log_format: str = setting(
        ACCESS_FORMAT, kind=text, flags=("--access-logformat",), section=LOGGING,
        help="Line of the access log, with %(atom)s for each part.",
    )  # fmt: skip
    access_log_json: bool = setting(
        False, kind=boolean, section=LOGGING,
        help="Write each line of the access log as a JSON object.",
    )  # fmt: skip
    disable_redirect_access_to_syslog: bool = setting(
        False, kind=boolean, section=LOGGING,
        help="Do not send the access log to syslog when `syslog` is on.",
    )  # fmt: skip
    errorlog: str = setting(
        "-", kind=text, flags=("--error-logfile", "--log-file"), section=LOGGING,
        help="File of the error log; - is standard error.",
    )  # fmt: skip
    loglevel: str = setting(
        "info", kind=log_level, flags=("--log-level",), section=LOGGING,
        help="Least level that the error log takes: debug, info, warning, error or critical.",
    )  # fmt: skip
    capture_output: bool = setting(
        False, kind=boolean, section=LOGGING,
        help="Send what the workers print to the error log's file.",
    )  # fmt: skip
    logger_class: str = setting(
        "std", kind=plugin_name, section=LOGGING,
        help="Logger: the name of an installed one, or MODULE:ATTRIBUTE.",
    )  # fmt: skip
    logconfig: str | None = setting(
        None, kind=optional_text, flags=("--log-config",), section=LOGGING,
        help="Logging configuration of the standard library, in its file format.",
    )  # fmt: skip
    logconfig_dict: Mapping[str, Any] = setting(
        factory=dict, kind=mapping, cli=False, section=LOGGING,
        help="Logging configuration of the standard library as a dictionary; comes before the files.",
    )  # fmt: skip
    logconfig_json: str | None = setting(
        None, kind=optional_text, flags=("--log-config-json",), section=LOGGING,
        help="Logging configuration of the standard library in a JSON file; comes before `logconfig`.",
    )  # fmt: skip
    syslog: bool = setting(
        False, kind=boolean, flags=("--log-syslog",), section=LOGGING,
        help="Send the logs to syslog.",
    )  # fmt: skip
    syslog_addr: str = setting(
        "udp://localhost:514", kind=text, flags=("--log-syslog-to",), section=LOGGING,
        help="Where syslog listens: udp://HOST:PORT, tcp://HOST:PORT, or unix://PATH with #dgram or #stream.",
    )  # fmt: skip
    syslog_prefix: str | None = setting(
        None, kind=optional_text, flags=("--log-syslog-prefix",), section=LOGGING,
        help="Program name in syslog lines; without it `proc_name`.",
    )  # fmt: skip
    syslog_facility: str = setting(
        "user", kind=text, flags=("--log-syslog-facility",), section=LOGGING,
        help="Facility of syslog lines.",
    )  # fmt: skip
    enable_stdio_inheritance: bool = setting(
        False, kind=boolean, flags=("-R", "--enable-stdio-inheritance"), section=LOGGING,
        help="Keep standard input and output open in the background (`daemon`).",
    )  # fmt: skip
    proc_name: str | None = setting(
        None, kind=optional_text, flags=("-n", "--name"), section=LOGGING,
        help="Name in the process list; needs the package setproctitle.",
    )  # fmt: skip
    default_proc_name: str = setting(
        "hostler", kind=text, cli=False, section=LOGGING,
        help="Name that is used where `proc_name` is not set.",
    )  # fmt: skip

    # -- TLS -------------------------------------------------------------------------------------------

    keyfile: str | None = setting(
        None, kind=optional_text, section=TLS,
        help="PEM file with the private key. With `certfile` every http listener speaks TLS.",
    )  # fmt: skip
    certfile: str | None = setting(
        None, kind=optional_text, section=TLS,
        help="PEM file with the certificate and its chain.",
    )  # fmt: skip
    ca_certs: str | None = setting(
        None, kind=optional_text, section=TLS,
        help="PEM file with the authorities that client certificates are checked against.",
    )  # fmt: skip
    cert_reqs: int = setting(
        0, kind=certificate_demand, section=TLS,
        help="Client certificates: 0 (none), 1 (optional) or 2 (required).",
    )  # fmt: skip
    ciphers: str | None = setting(
        None, kind=optional_text, section=TLS,
        help="Ciphers for TLS 1.2, in OpenSSL's notation; without it Python's choice for servers.",
    )  # fmt: skip
    do_handshake_on_connect: bool = setting(
        False, kind=boolean, section=TLS,
        ignored="handshakes always run beside the accepting of connections, with a time limit of their own",
        help="When gunicorn does the TLS handshake.",
    )  # fmt: skip
    ssl_version: Any = setting(
        None, kind=anything, section=TLS,
        ignored="TLS 1.2 is the lowest version; the hook ssl_context can change it",
        help="The TLS version of old gunicorns.",
    )  # fmt: skip
    suppress_ragged_eofs: bool = setting(
        True, kind=boolean, section=TLS,
        ignored="a TLS connection that is cut is never taken for a complete message",
        help="Whether gunicorn hides that a TLS connection was cut.",
    )  # fmt: skip

    # -- protocols, plugins, control -------------------------------------------------------------------

    protocol: str = setting(
        "http", kind=text, section=PLUGINS,
        help="What is spoken on addresses whose bind names no scheme: http or uwsgi.",
    )  # fmt: skip
    http_protocols: tuple[str, ...] = setting(
        ("h1",), kind=words, section=PLUGINS,
        help="HTTP versions in the order of preference: h1, h2.",
    )  # fmt: skip
    http_parser: str = setting(
        "auto", kind=choice("auto", "fast", "python"), section=PLUGINS,
        ignored="there is one parser, and it is always there",
        help="Which of its two parsers gunicorn uses.",
    )  # fmt: skip
    disabled_plugins: tuple[str, ...] = setting(
        (), kind=words, section=PLUGINS,
        help="Names of plugins, or of their distributions, that are not used even if installed; * is all "
        "but the core's. The variable HOSTLER_DISABLE_PLUGINS adds to it.",
    )  # fmt: skip
    control_socket: str | None = setting(
        None, kind=optional_text, section=CONTROL,
        help="Path of the Unix socket that `hostler ctl` talks to; without it one in a private directory.",
    )  # fmt: skip
    control_socket_mode: int = setting(
        0o600, kind=mode, section=CONTROL,
        help="Permissions of the control socket.",
    )  # fmt: skip
    control_socket_disable: bool = setting(
        False, kind=boolean, flags=("--no-control-socket",), section=CONTROL,
        help="Have no control socket.",
    )  # fmt: skip

    # -- hooks -----------------------------------------------------------------------------------------

    on_starting: Hook = setting(
        None, kind=hook(1), cli=False, section=HOOKS,
        help="on_starting(server): in the arbiter, before the listeners are opened.",
    )  # fmt: skip
    on_reload: Hook = setting(
        None, kind=hook(1), cli=False, section=HOOKS,
        help="on_reload(server): in the arbiter, at a reload, before the new workers are forked.",
    )  # fmt: skip
    when_ready: Hook = setting(
        None, kind=hook(1), cli=False, section=HOOKS,
        help="when_ready(server): in the arbiter, when the server is ready.",
    )  # fmt: skip
    pre_fork: Hook = setting(
        None, kind=hook(2), cli=False, section=HOOKS,
        help="pre_fork(server, worker): in the arbiter, before each fork of a worker.",
    )  # fmt: skip
    post_fork: Hook = setting(
        None, kind=hook(2), cli=False, section=HOOKS,
        help="post_fork(server, worker): in the worker, first thing after the fork.",
    )  # fmt: skip
    post_worker_init: Hook = setting(
        None, kind=hook(1), cli=False, section=HOOKS,
        help="post_worker_init(worker): in the worker, after the application was loaded.",
    )  # fmt: skip
    worker_int: Hook = setting(
        None, kind=hook(1), cli=False, section=HOOKS,
        help="worker_int(worker): in a worker that got INT or QUIT.",
    )  # fmt: skip
    worker_abort: Hook = setting(
        None, kind=hook(1), cli=False, section=HOOKS,
        help="worker_abort(worker): in a worker that got ABRT, usually because of `timeout`.",
    )  # fmt: skip
    pre_exec: Hook = setting(
        None, kind=hook(1), cli=False, section=HOOKS,
        help="pre_exec(server): in the child that becomes the new arbiter of an upgrade, before it does.",
    )  # fmt: skip
    pre_request: Hook = setting(
        None, kind=hook(2), cli=False, section=HOOKS,
        help="pre_request(worker, request): in the worker, before the application is called.",
    )  # fmt: skip
    post_request: Hook = setting(
        None, kind=hook(4, 3, 2), cli=False, section=HOOKS,
        help="post_request(worker, request, environ, response): in the worker, after the response. It may "
        "take only the first two or three.",
    )  # fmt: skip
    child_exit: Hook = setting(
        None, kind=hook(2), cli=False, section=HOOKS,
        help="child_exit(server, worker): in the arbiter, after a worker has ended.",
    )  # fmt: skip
    worker_exit: Hook = setting(
        None, kind=hook(2), cli=False, section=HOOKS,
        help="worker_exit(server, worker): in the worker, last thing before it ends.",
    )  # fmt: skip
    nworkers_changed: Hook = setting(
        None, kind=hook(3), cli=False, section=HOOKS,
        help="nworkers_changed(server, new, old): in the arbiter, when the number of workers was changed.",
    )  # fmt: skip
    on_exit: Hook = setting(
        None, kind=hook(1), cli=False, section=HOOKS,
        help="on_exit(server): in the arbiter, before it ends.",
    )  # fmt: skip
    ssl_context: Hook = setting(
        None, kind=hook(2), cli=False, section=HOOKS,
        help="ssl_context(config, default_ssl_context_factory): makes the TLS context of a listener.",
    )  # fmt: skip
