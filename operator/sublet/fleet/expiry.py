"""Until when a credential is good by its own words: a token's `exp`, a client certificate's `notAfter`. Pure.

It is hostile input, and only ever shown: what can't be read has no known end. The signature isn't looked at, since the cluster
decides whether it accepts the credential.
"""

import base64
import binascii
import json
import ssl
from datetime import UTC, datetime
from typing import Final

from sublet.api.times import Millis, to_millis
from sublet.kube.session import Endpoint

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_LONG_FORM: Final = 0x80
_LAST_YEAR: Final = 9_999
_PARTS: Final = 3
"""Of a token: header, claims, signature."""


def expires_ms(endpoint: Endpoint) -> Millis | None:
    """Return when an endpoint's credential ends; None if it doesn't, or doesn't say."""
    try:
        if endpoint.client_cert_pem is not None:
            return _certificate_ends(ssl.PEM_cert_to_DER_cert(endpoint.client_cert_pem.strip()))
        return _token_ends(endpoint.token()) if endpoint.token is not None else None
    except (ValueError, IndexError, OverflowError, OSError, RecursionError, binascii.Error):
        return None


def _token_ends(token: str) -> Millis | None:
    parts = token.split(".")
    if len(parts) != _PARTS:
        return None
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    ends = claims.get("exp") if isinstance(claims, dict) else None
    if not isinstance(ends, int) or isinstance(ends, bool) or ends <= 0:
        return None
    return to_millis(datetime.fromtimestamp(ends, tz=UTC))


def _certificate_ends(der: bytes) -> Millis | None:
    """Walk to the second instant of `validity`: after version (if there), serial, algorithm and issuer."""
    _, certificate, _ = _read(der, 0)
    _, body, _ = _read(certificate, 0)
    at = 0
    tag, _, after = _read(body, at)
    at = after if tag == _VERSION else at
    for _ in range(3):
        _, _, at = _read(body, at)
    tag, validity, _ = _read(body, at)
    if tag != _SEQUENCE:
        return None
    _, _, second = _read(validity, 0)
    tag, text, _ = _read(validity, second)
    return _instant(tag, text.decode("ascii"))


def _read(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Return tag and content of the element at an offset, and where the next one begins; ValueError if it is cut off."""
    tag, length, begin = data[at], data[at + 1], at + 2
    if length & _LONG_FORM:
        count = length & ~_LONG_FORM
        length, begin = int.from_bytes(data[begin : begin + count], "big"), begin + count
    end = begin + length
    if end > len(data):
        raise ValueError("a certificate that is cut off")
    return tag, data[begin:end], end


def _instant(tag: int, text: str) -> Millis | None:
    if tag not in (_UTC_TIME, _GENERALIZED_TIME):
        return None
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    at = datetime.strptime(text, form).replace(tzinfo=UTC)
    return None if at.year >= _LAST_YEAR else to_millis(at)
