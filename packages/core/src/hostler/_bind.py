"""Where to listen, as values: bind texts, bind URLs and `[[listen]]` tables become frozen `Bind` values.

Knows how an address is written and which rules a listener may have of its own. Refuses to know sockets:
nothing here opens, resolves or looks at a file.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hostler import _fields
from hostler._fields import Invalid
from hostler._kinds import certificate_demand, networks, proxy_mode
from hostler.errors import ConfigError

if TYPE_CHECKING:
    from hostler.settings import Settings

DEFAULT_PORT = 8000
"""gunicorn's, for an address that names none."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """What TLS needs on one listener; the files are read when its context is made."""

    certfile: str | None = None
    keyfile: str | None = None
    ca_certs: str | None = None
    cert_reqs: int = 0
    ciphers: str | None = None


@dataclass(frozen=True, slots=True)
class Bind:
    """One address to listen on, with all of its rules resolved; compares equal when nothing would change."""

    text: str
    """As the user wrote it, for messages."""
    scheme: str
    """`http`, `https`, or a gateway protocol's (`uwsgi`)."""
    host: str = ""
    port: int = 0
    ipv6: bool = False
    path: str = ""
    """A Unix socket's path; then host and port mean nothing."""
    descriptor: int | None = None
    """`fd://N`: a socket that was passed in."""
    label: str = ""
    """`fd://NAME`: a socket that the service manager passed under this name."""
    certificates: Certificates | None = None
    """None: plain text."""
    http_protocols: tuple[str, ...] = ("h1",)
    proxy_protocol: str = "off"
    proxy_allow_ips: tuple[str, ...] = ()
    forwarded_allow_ips: tuple[str, ...] = ()
    uwsgi_allow_ips: tuple[str, ...] = ()
    backlog: int = 2048
    reuse_port: bool = False
    mode: int | None = None
    """Permission bits of a Unix socket; None: the flat settings' `socket_mode` and `umask`."""
    user: int | None = None
    group: int | None = None

    @property
    def unix(self) -> bool:
        return bool(self.path)

    @property
    def passed(self) -> bool:
        """The socket is not opened here but passed in."""
        return self.descriptor is not None or bool(self.label)


def binds(settings: Settings) -> tuple[Bind, ...]:
    """Every address of the settings: `listen` tables and `bind` texts, flat settings as their defaults.

    `[[listen]]` tables replace the default of `bind`; texts that the user gave stand beside them.
    Raises `ConfigError`.
    """
    tables: Sequence[Mapping[str, Any]] = settings.listen
    texts: Sequence[str] = settings.bind
    found = [_table(number, table, settings) for number, table in enumerate(tables, 1)]
    if not found or tuple(texts) != _DEFAULT_BIND:
        found += [_with_rules(parse(text), {}, settings, f"bind {text!r}") for text in texts]
    seen: dict[tuple[Any, ...], Bind] = {}
    for bind in found:
        key = (bind.host, bind.port, bind.path, bind.descriptor, bind.label)
        if key in seen and (bind.port or bind.passed or bind.unix):
            raise ConfigError(f"bind {bind.text!r}: is there twice; give each address once")
        seen[key] = bind
    return tuple(found)


_DEFAULT_BIND = ("127.0.0.1:8000",)
_SCHEME = re.compile(r"(?:([a-z][a-z0-9.-]*)(?:\+(unix|fd))?:(?=/)|(unix):)", re.IGNORECASE)


def parse(text: str) -> Bind:
    """`host:port`, `[v6]:port`, `:port`, `unix:path`, `fd://N`, each also as `scheme://…`, `scheme+unix:…` or `scheme+fd://N`.

    An address without scheme gets the empty one: what it speaks is decided by the settings.
    Raises `ConfigError`.
    """
    rest, scheme = text.strip(), ""
    match = _SCHEME.match(rest)
    if match:
        word, over = (match[1] or "").lower(), (match[2] or match[3] or "").lower()
        rest = rest[match.end() :]
        if word in ("unix", "fd"):
            word, over = "", word
        if over == "fd":
            return _passed(text, word, rest.removeprefix("//"))
        if over == "unix":
            path = re.sub(r"^//(?=[^/]|/)", "", rest)
            if not path:
                raise ConfigError(f"bind {text!r}: names no path; write unix:/run/app.sock")
            return Bind(text, word, path=path)
        if not rest.startswith("//"):
            raise ConfigError(f"bind {text!r}: is not an address; write {word}://host:port")
        rest, scheme = rest[2:].rstrip("/"), "" if word == "tcp" else word
        if "/" in rest:
            raise ConfigError(f"bind {text!r}: an address has no path; mounting is the application's affair")
    host, port, ipv6 = _host_port(text, rest)
    return Bind(text, scheme, host=host, port=port, ipv6=ipv6)


def _passed(text: str, scheme: str, rest: str) -> Bind:
    if re.fullmatch(r"[0-9]{1,6}", rest):
        return Bind(text, scheme, descriptor=int(rest))
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", rest):
        return Bind(text, scheme, label=rest)
    raise ConfigError(
        f"bind {text!r}: write fd://N, the number of a descriptor, or fd://NAME, its name in systemd"
    )


def _host_port(text: str, rest: str) -> tuple[str, int, bool]:
    match = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^\[\]:/]*))(?::([0-9]*))?", rest)
    if match is None:
        hint = (
            "; write IPv6 addresses in brackets: [::1]:8000" if rest.count(":") > 1 else "; write host:port"
        )
        raise ConfigError(f"bind {text!r}: is not an address{hint}")
    port = int(match[3]) if match[3] else DEFAULT_PORT
    if port > 65535:
        raise ConfigError(f"bind {text!r}: port {port} is above 65535")
    host = (match[1] or match[2] or "0.0.0.0").lower()
    return host, port, match[1] is not None


# -- a listener's own rules ----------------------------------------------------------------------------

_RULES: Mapping[str, _fields.Kind] = {
    "certfile": _fields.optional_text,
    "keyfile": _fields.optional_text,
    "ca_certs": _fields.optional_text,
    "cert_reqs": certificate_demand,
    "ciphers": _fields.optional_text,
    "http_protocols": _fields.words,
    "proxy_protocol": proxy_mode,
    "proxy_allow_ips": networks,
    "forwarded_allow_ips": networks,
    "uwsgi_allow_ips": networks,
    "backlog": _fields.integer(1),
    "reuse_port": _fields.boolean,
    "socket_mode": _fields.mode,
    "user": _fields.user,
    "group": _fields.group,
}
"""What a `[[listen]]` table may hold besides `bind`; each has the flat setting of its name as default."""


def _table(number: int, table: Mapping[str, Any], settings: Settings) -> Bind:
    where = f"listen table {number}"
    if not isinstance(table, Mapping) or not isinstance(table.get("bind"), str):
        raise ConfigError(f"{where}: needs bind = 'ADDRESS'")
    own: dict[str, Any] = {}
    for name, value in table.items():
        if name == "bind":
            continue
        if name not in _RULES:
            raise ConfigError(f"{where}: unknown name {name!r}; allowed are bind, {', '.join(_RULES)}")
        try:
            own[name] = _RULES[name].convert(value)
        except Invalid as error:
            raise ConfigError(f"{where}: {name} = {value!r} {error}") from None
    return _with_rules(parse(table["bind"]), own, settings, f"{where} ({table['bind']!r})")


def _with_rules(bind: Bind, own: Mapping[str, Any], settings: Settings, where: str) -> Bind:
    def rule(name: str) -> Any:
        return own[name] if name in own else getattr(settings, name)

    scheme, certificates = _speaks(bind.scheme, own, settings, where)
    return dataclasses.replace(
        bind,
        scheme=scheme,
        path=os.path.abspath(bind.path) if bind.path else "",
        certificates=certificates,
        http_protocols=tuple(rule("http_protocols")),
        proxy_protocol=rule("proxy_protocol"),
        proxy_allow_ips=tuple(rule("proxy_allow_ips")),
        forwarded_allow_ips=tuple(rule("forwarded_allow_ips")),
        uwsgi_allow_ips=tuple(rule("uwsgi_allow_ips")),
        backlog=rule("backlog"),
        reuse_port=rule("reuse_port") and not bind.path and not bind.passed,
        mode=own.get("socket_mode"),
        user=rule("user"),
        group=rule("group"),
    )


def _speaks(
    scheme: str, own: Mapping[str, Any], settings: Settings, where: str
) -> tuple[str, Certificates | None]:
    """What is spoken on an address, and with which certificates.

    A certificate in the flat settings makes every address TLS that names no scheme, as in gunicorn; an
    explicit scheme is obeyed. TLS without anything to make it of is an error, never plain text.
    """
    flat = bool(settings.certfile or settings.keyfile)
    named = bool(own.get("certfile") or own.get("keyfile"))
    if scheme == "http":
        if named:
            raise ConfigError(
                f"{where}: http:// with a certificate; write https:// or leave the certificate out"
            )
        return "http", None
    gateway = scheme if scheme not in ("", "https") else ""
    if not scheme and settings.protocol not in ("", "http"):
        gateway = settings.protocol
    tls = named or scheme == "https" or (not scheme and flat)
    if not tls:
        return gateway or "http", None
    values = {
        field.name: own[field.name] if field.name in own else getattr(settings, field.name)
        for field in dataclasses.fields(Certificates)
    }
    if "certfile" in own and "keyfile" not in own:
        # A certificate of its own with the flat settings' key could only be a mismatch.
        values["keyfile"] = None
    certificates = Certificates(**values)
    if not certificates.certfile and settings.ssl_context is None:
        raise ConfigError(f"{where}: TLS needs certfile (and keyfile, unless the key is in the same file)")
    return gateway or "https", certificates
