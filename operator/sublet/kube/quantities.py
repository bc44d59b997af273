"""Kubernetes quantities as numbers: the server writes 1000 as 1k and 2048Mi as 2Gi. The one place that asks the untyped library."""

from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity


def quantity(text: str) -> Decimal:
    """Return the number behind a quantity; ValueError or decimal.InvalidOperation if it is none."""
    number: Decimal = parse_quantity(text)  # type: ignore[no-untyped-call]  # the library has no types here
    return number
