"""Certificates made by the command `openssl`, once per run."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

CA = """
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
x509_extensions = names
email_in_dn = no
unique_subject = no
[any]
commonName = supplied
[names]
subjectAltName = DNS:localhost,IP:127.0.0.1
[req]
distinguished_name = any_name
[any_name]
"""


@dataclasses.dataclass(frozen=True)
class Files:
    """Paths of PEM files."""

    folder: Path

    def __getattr__(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("pem")
    (folder / "ca.cnf").write_text(CA)
    (folder / "index.txt").write_text("")
    (folder / "serial").write_text("1000\n")

    def openssl(*words: str) -> None:
        done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def key(name: str) -> None:
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.pem")

    def certificate(name: str, key_name: str, subject: str, begin: str, end: str) -> None:
        openssl(
            "req", "-new", "-config", "ca.cnf", "-key", f"{key_name}.pem", "-subj", subject, "-out", "req.pem"
        )
        openssl(
            "ca", "-batch", "-notext", "-config", "ca.cnf", "-keyfile", f"{key_name}.pem", "-selfsign",
            "-in", "req.pem", "-startdate", begin, "-enddate", end, "-out", f"{name}.pem",
        )  # fmt: skip

    for name in ("key", "other_key", "client_key"):
        key(name)
    certificate("cert", "key", "/CN=localhost", "20200101000000Z", "21200101000000Z")
    certificate("expired", "key", "/CN=localhost", "20200101000000Z", "20210101000000Z")
    certificate("future", "key", "/CN=localhost", "21000101000000Z", "21200101000000Z")
    certificate("client", "client_key", "/CN=a client", "20200101000000Z", "21200101000000Z")
    openssl("ec", "-in", "key.pem", "-aes128", "-passout", "pass:secret", "-out", "encrypted_key.pem")
    both = (folder / "key.pem").read_text() + (folder / "cert.pem").read_text()
    (folder / "both.pem").write_text(both)
    (folder / "junk.pem").write_text("no certificate")
    return Files(folder)
