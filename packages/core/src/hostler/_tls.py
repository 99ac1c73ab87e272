"""The TLS context of a listener: made in the arbiter before privileges drop, so that it fails closed at boot.

Workers that share a listener's context by fork share its session ticket keys, so a client can resume with
any of them. This module needs OpenSSL and is imported only for a listener that speaks TLS; it refuses to
know sockets and handshakes, which belong to the drivers.
"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hostler import _certificate
from hostler._bind import Bind, Certificates
from hostler._protocols import alpn
from hostler.errors import ConfigError

if TYPE_CHECKING:
    from hostler._configuration import Configuration
    from hostler.settings import Settings

_DEMANDS = (ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED)


def prepare(bind: Bind, configuration: Configuration) -> ssl.SSLContext | None:
    """The listener's context, in the arbiter; None when only the user's hook can make it, in the worker.

    Raises `ConfigError` for a certificate that cannot be used.
    """
    certificates = bind.certificates
    if certificates is None or not certificates.certfile:
        return None
    return make_context(bind, certificates, alpn(bind, configuration))


def finish(
    bind: Bind, settings: Settings, prepared: ssl.SSLContext | None, protocols: Sequence[str]
) -> ssl.SSLContext:
    """The context as the worker uses it: the prepared one, or what the hook `ssl_context` makes of it.

    Called once per worker and listener. Raises `ConfigError`: a TLS listener is never served in plain.
    """
    hook = settings.ssl_context

    def default_ssl_context_factory() -> ssl.SSLContext:
        if prepared is not None:
            return prepared
        return make_context(bind, bind.certificates or Certificates(), protocols)

    if hook is None:
        return default_ssl_context_factory()
    context = hook(settings, default_ssl_context_factory)
    if not isinstance(context, ssl.SSLContext):
        kind = type(context).__name__
        raise ConfigError(f"ssl_context: the hook must return an ssl.SSLContext, not {kind}")
    if context is not prepared and protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def make_context(bind: Bind, certificates: Certificates, protocols: Sequence[str]) -> ssl.SSLContext:
    """Python's defaults for servers with TLS 1.2 as the lowest version, and what the listener asks for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= getattr(ssl, "OP_NO_RENEGOTIATION", 0)
    if certificates.certfile:
        _load_own(context, bind, certificates)
    if certificates.ciphers:
        try:
            context.set_ciphers(certificates.ciphers)
        except ssl.SSLError:
            raise ConfigError(f"ciphers: {certificates.ciphers!r} names no cipher that OpenSSL has") from None
    _demand_clients(context, certificates)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def _demand_clients(context: ssl.SSLContext, certificates: Certificates) -> None:
    if certificates.cert_reqs and not certificates.ca_certs:
        raise ConfigError(
            "cert_reqs: client certificates need ca_certs, the authorities that they are checked against"
        )
    if certificates.ca_certs:
        try:
            context.load_verify_locations(certificates.ca_certs)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"ca_certs: {certificates.ca_certs!r} cannot be used: {_text(error)}") from None
    context.verify_mode = _DEMANDS[certificates.cert_reqs]


def _load_own(context: ssl.SSLContext, bind: Bind, certificates: Certificates) -> None:
    certfile = certificates.certfile or ""
    try:
        with open(certfile, "rb") as file:
            der = _certificate.first_in(file.read())
    except OSError as error:
        raise ConfigError(f"certfile: {certfile!r} cannot be read: {error.strerror}") from None
    if der is None:
        raise ConfigError(f"certfile: {certfile!r} holds no PEM certificate")
    _check_dates(certfile, der)

    def no_password() -> bytes:
        raise ConfigError(
            f"keyfile: {certificates.keyfile or certfile!r} is encrypted; use a key without one"
        )

    try:
        context.load_cert_chain(certfile, certificates.keyfile, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(
                f"keyfile: {certificates.keyfile or certfile!r} is not the key of certfile {certfile!r}"
            ) from None
        what = f"keyfile {certificates.keyfile!r}" if certificates.keyfile else f"the key in {certfile!r}"
        raise ConfigError(
            f"certfile: {certfile!r} with {what} cannot be used for {bind.text!r}: {_text(error)}"
        ) from None
    except OSError as error:
        raise ConfigError(f"keyfile: {certificates.keyfile!r} cannot be read: {error.strerror}") from None


def _check_dates(certfile: str, der: bytes) -> None:
    try:
        first, last = _certificate.validity(der)
    except ValueError:
        raise ConfigError(f"certfile: {certfile!r} does not begin with a certificate") from None
    now = datetime.datetime.now(datetime.timezone.utc)
    if now > last:
        raise ConfigError(f"certfile: {certfile!r} expired on {last:%Y-%m-%d}; renew it")
    if now < first:
        raise ConfigError(f"certfile: {certfile!r} is not valid before {first:%Y-%m-%d %H:%M} UTC")


def _text(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else (error.strerror or str(error))
