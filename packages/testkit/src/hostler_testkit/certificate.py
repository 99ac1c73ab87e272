"""A certificate of the session's own, made with the `openssl` command."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """Files of a key and of a certificate for localhost that is its own authority."""

    cert: str
    key: str

    def client(self, protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
        """What a client needs to trust it."""
        context = ssl.create_default_context(cafile=self.cert)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


def make_certificate(directory: Path, name: str = "localhost") -> Certificate:
    """An elliptic-curve key and its certificate, valid for a week."""
    cert, key = directory / f"{name}.crt", directory / f"{name}.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "7", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return Certificate(str(cert), str(key))
