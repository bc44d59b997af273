"""The only rights that aren't exactly what is used, each with its reason; one that isn't needed any more fails."""

from typing import Final

from tests.integration.rights.judge import Exemption, Fault

_STATEMENTS = (
    "statements are made, filled in and taken away where their tenant is; the operator alone writes them, and "
    "what they say comes from the ledger again"
)

EXEMPT: Final = {
    "hub": (
        Exemption(
            "events.k8s.io", "events", "create", Fault.UNFENCED,
            "an Event must stand in the namespace of the claim that it is about",
        ),
        Exemption(
            "sublet.dev", "gpuclaims/status", "update", Fault.UNFENCED,
            "claims are in tenants' namespaces only, so a policy would keep out nothing",
        ),
        Exemption("sublet.dev", "gpustatements", "create", Fault.UNFENCED, _STATEMENTS),
        Exemption("sublet.dev", "gpustatements", "delete", Fault.UNFENCED, _STATEMENTS),
        Exemption("sublet.dev", "gpustatements/status", "update", Fault.UNFENCED, _STATEMENTS),
    ),
    "west": (
        Exemption(
            "authorization.k8s.io", "selfsubjectrulesreviews", "create", Fault.UNGRANTED,
            "what one may oneself every authenticated user may ask, by Kubernetes' own system:basic-user",
        ),
    ),
}  # fmt: skip
"""By the plane of the test."""
