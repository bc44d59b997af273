"""Requests of a trace (`tests.harness.tracing`)."""

from tests.harness.tracing import Request

CLAIM = "uid-of-the-claim"


def request(begun: float, ended: float, uid: str = CLAIM, **changed: str) -> Request:
    """Return one about a claim, answered well unless it says otherwise."""
    parts = {"method": "PATCH", "path": "/api/v1/nodes/n0", "body": uid, "failed": "", **changed}
    return Request(
        begun, ended, 0.0, server="https://west", identity="", params={}, content_type="", **parts
    )
