"""A token as the plane itself would have signed it with an earlier end: ten minutes, the least that a server grants, are long.

It is signed with the plane's own key, so the API server reads it as its own and refuses it as it refuses any that has ended.
"""

import base64
import json
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

_LENIENT_SECONDS = 60
"""So long an API server takes a token beyond its end."""
_HALF_BYTES = 32


def end_early(token: str, signing_key: Path, seconds: int) -> str:
    """Return the same token, which ends in so many seconds."""
    header, payload, _ = token.split(".")
    claims = json.loads(_plain(payload))
    claims["exp"] = int(time.time()) + seconds - _LENIENT_SECONDS
    signed = f"{header}.{_text(json.dumps(claims).encode())}"
    key = serialization.load_pem_private_key(signing_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    halves = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_text(b''.join(h.to_bytes(_HALF_BYTES, 'big') for h in halves))}"


def _plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
