"""Certificates for a server on this machine and for its clients, signed by an authority made for a test."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aegis.embedded.server import HOST


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """An authority, and what it has signed."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Self:
        """Make an authority with a certificate for a server at 127.0.0.1 and one for a client."""
        folder.mkdir(parents=True)
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _certificate("test authority", key, None)
        _write(folder / "ca.crt", authority)
        for name in ("server", "client"):
            own = ec.generate_private_key(ec.SECP256R1())
            _write(folder / f"{name}.crt", _certificate(name, own, (authority, key)))
            plain = own.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            (folder / f"{name}.key").write_bytes(plain)
        return cls(folder=folder)

    @property
    def query(self) -> str:
        """The options of a client's URL that trust this authority and show the client's certificate."""
        return (
            f"{self.trust}&ssl_certfile={self.folder / 'client.crt'}&ssl_keyfile={self.folder / 'client.key'}"
        )

    @property
    def trust(self) -> str:
        """The option of a client's URL that trusts this authority."""
        return f"ssl_ca_certs={self.folder / 'ca.crt'}"

    @property
    def served(self) -> dict[str, str]:
        """What a server's configuration says about its own."""
        return {
            "tls-cert-file": str(self.folder / "server.crt"),
            "tls-key-file": str(self.folder / "server.key"),
            "tls-ca-cert-file": str(self.folder / "ca.crt"),
        }


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
) -> x509.Certificate:
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(signer[0].subject if signer else called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False
        )
    )
    return built.sign(signer[1] if signer else key, hashes.SHA256())


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
