"""Until when a credential says that it is good; what it says is hostile."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, strategies as st

from sublet.api.times import to_millis
from sublet.fleet.expiry import expires_ms
from sublet.kube.session import Endpoint

ENDS = datetime(2027, 3, 1, 12, 30, tzinfo=UTC)


def token(claims: object) -> Endpoint:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return Endpoint("https://x", token=lambda: f"e30.{body}.sig")


def certificate(ends: datetime) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sublet")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ENDS - timedelta(days=900))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


def test_a_tokens_end():
    assert expires_ms(token({"exp": int(ENDS.timestamp())})) == to_millis(ENDS)


@pytest.mark.parametrize("ends", [ENDS, ENDS.replace(year=2061)])
def test_a_client_certificates_end(ends: datetime):
    found = expires_ms(Endpoint("https://x", client_cert_pem=certificate(ends)))
    assert found == to_millis(ends)


@pytest.mark.parametrize("claims", [{}, [], {"exp": "soon"}, {"exp": True}, {"exp": -1}, {"exp": 10**17}, {"exp": 10**30}])  # fmt: skip
def test_a_token_that_doesnt_say(claims: object):
    assert expires_ms(token(claims)) is None


def test_no_credential_has_no_end():
    assert expires_ms(Endpoint("https://x")) is None
    assert expires_ms(Endpoint("https://x", token=lambda: "opaque")) is None


@given(st.binary(max_size=200))
def test_no_certificate_breaks_it(data: bytes):
    text = base64.b64encode(data).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----"
    expires_ms(Endpoint("https://x", client_cert_pem=pem))


@given(st.text(max_size=200))
def test_no_token_breaks_it(text: str):
    expires_ms(Endpoint("https://x", token=lambda: text))
    expires_ms(Endpoint("https://x", token=lambda: f"a.{text}.b"))
