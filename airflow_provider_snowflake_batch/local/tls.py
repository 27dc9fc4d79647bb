"""TLS for 127.0.0.1: a certificate of the server's own, and the file that makes clients trust it."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.state import StateDirectory

VALIDITY = datetime.timedelta(days=825)
_RENEWED_BEFORE_END = datetime.timedelta(days=60)
_CA_NAME = "Local Snowflake CA"
_DNS_NAMES = [x509.DNSName("localhost")]
_ADDRESSES = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.IPAddress(ipaddress.ip_address("::1"))]
# Whoever trusts this CA trusts it for this machine's loopback only.
_PERMITTED = [
    *_DNS_NAMES,
    x509.IPAddress(ipaddress.ip_network("127.0.0.0/8")),
    x509.IPAddress(ipaddress.ip_network("::1/128")),
]


class Certificates:
    """The certificate authority and the server's certificate, made at the first start and when they near their end.

    The authority's key is thrown away once it has signed the one certificate, so nobody can sign another with it.

    :param state: where they are kept, in the folder ``tls``.
    """

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._folder = state.path / "tls"
        self._authority = self._folder / "ca.pem"
        self._chain = self._folder / "server.pem"
        self.bundle = self._folder / "ca-bundle.pem"
        """The usual certificate authorities and this one: for ``REQUESTS_CA_BUNDLE`` and ``SSL_CERT_FILE``."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if not self._are_good():
            self._make()
        self._write_bundle()

    def context(self) -> ssl.SSLContext:
        """What the server answers TLS clients with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._chain)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _are_good(self) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(self._chain.read_bytes())
            authority = x509.load_pem_x509_certificate(self._authority.read_bytes())
            certificate.verify_directly_issued_by(authority)
        except (OSError, ValueError, TypeError):
            return False
        return certificate.not_valid_after_utc - _now() > _RENEWED_BEFORE_END

    def _make(self) -> None:
        authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _CA_NAME)])
        authority_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
        authority = (
            _builder(issuer, issuer, authority_key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.NameConstraints(permitted_subtrees=_PERMITTED, excluded_subtrees=None), critical=True)
            .add_extension(authority_id, critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        server = (
            _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), issuer, server_key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([*_DNS_NAMES, *_ADDRESSES]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(server_key.public_key()), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        key = server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._state.write_private(self._authority, _pem(authority))
        self._state.write_private(self._chain, _pem(server) + key.decode())

    def _write_bundle(self) -> None:
        usual = self._usual_authorities()
        own = self._authority.read_text()
        self._state.write_private(self.bundle, f"{usual.read_text()}\n# {_CA_NAME}\n{own}")

    def _usual_authorities(self) -> Path:
        import certifi

        for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            path = Path(os.environ.get(variable) or "/nonexistent")
            # Another local Snowflake's bundle would bring its authority along, and this one's own would grow.
            if path.is_file() and path.name != self.bundle.name:
                return path
        return Path(certifi.where())


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    # Clocks of containers may be a little behind.
    start = _now() - datetime.timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + VALIDITY)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
