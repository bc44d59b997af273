"""What a leased cluster's policies allow: given on the command line, else what was given the last time.

Onboarding is repeated to mend and to rotate; it must not take away what was allowed before just because somebody
doesn't remember the options.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Final

from sublet.cli.onboarding.apply import read_or_none
from sublet.cli.onboarding.cluster import minor_version
from sublet.cli.onboarding.findings import Finding, warning
from sublet.cli.onboarding.place import Place
from sublet.cli.onboarding.spelling import SPELT
from sublet.cli.problems import Problem
from sublet.kube.session import ApiServer
from sublet.manifests import devices
from sublet.manifests.render import LeasedOptions

_ALWAYS: Final = ("kube-system", "gpu-operator")


@dataclass(frozen=True, slots=True)
class Allowed:
    """The options; None is one that wasn't given."""

    system_namespaces: tuple[str, ...] | None = None
    extra_resources: tuple[str, ...] | None = None
    capabilities: tuple[str, ...] | None = None
    role_resources: tuple[str, ...] | None = None
    priority_classes: tuple[str, ...] | None = None
    pod_networks: tuple[str, ...] | None = None
    device_variables: tuple[str, ...] | None = None
    audit_only: bool | None = None

    def checked(self) -> "Allowed":
        """Return these options; Problem if one of them has a text that nothing could ever match."""
        for field, (option, fits, example) in SPELT.items():
            for text in getattr(self, field) or ():
                if text and not fits(text):
                    raise Problem(f"{option}: {text!r} can't be one; write it like {example}")
        return self

    def over(self, before: dict[str, Any] | None) -> "Allowed":
        """Return these options with what wasn't given taken from `before`; a given list replaces the old one."""
        kept = before or {}
        merged: dict[str, Any] = {}
        for field in fields(self):
            given, old = getattr(self, field.name), kept.get(field.name)
            if field.name == "audit_only":
                merged[field.name] = bool(old if given is None else given)
            else:
                texts = (old if isinstance(old, list) else ()) if given is None else given
                merged[field.name] = tuple(str(text) for text in texts if text)
        return Allowed(**merged)

    def as_data(self) -> dict[str, Any]:
        """Return what is to be remembered."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if v}


async def leased_options(leased: ApiServer, allowed: Allowed, place: Place) -> LeasedOptions:
    """Return what the manifests are rendered from: the options and what the cluster itself says."""
    try:
        devices.words(allowed.device_variables or ())
    except ValueError as error:
        raise Problem(f"--device-variable: {error}") from error
    return LeasedOptions(
        namespace=place.namespace,
        account=place.account,
        kubernetes_minor=await minor_version(leased),
        system_namespaces=_once(*_ALWAYS, *(allowed.system_namespaces or ())),
        extra_resources=allowed.extra_resources or (),
        capabilities=allowed.capabilities or (),
        role_resources=allowed.role_resources or (),
        priority_classes=_once(*(allowed.priority_classes or ()), *await _default_class(leased)),
        pod_networks=allowed.pod_networks or (),
        device_variables=allowed.device_variables or (),
        audit_only=bool(allowed.audit_only),
    )


async def missing_namespaces(leased: ApiServer, names: Iterable[str]) -> list[Finding]:
    """Warn of system namespaces that aren't there; those that are always allowed may come later."""
    given = [name for name in names if name not in _ALWAYS]
    found = {name: await read_or_none(leased, f"/api/v1/namespaces/{name}") for name in given}
    return [
        warning(f"there is no namespace {name} here; is --system-namespace spelt right?")
        for name, body in found.items()
        if body is None
    ]


async def _default_class(leased: ApiServer) -> tuple[str, ...]:
    """Return the global default PriorityClass: its name is in every pod before the policy looks."""
    classes = await leased.get("/apis/scheduling.k8s.io/v1/priorityclasses")
    return tuple(c["metadata"]["name"] for c in classes["items"] if c.get("globalDefault"))


def _once(*texts: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
