"""Whose an onboarding is: marks on what it made, and for which hub and with which options it was made.

Names alone prove nothing: another hub's Sublet uses the same ones. Every object carries a label, and the binding of
the operator's rights, without which nothing works, carries the hub's UID and the options that were given.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from sublet.cli.onboarding.apply import read_or_none
from sublet.cli.onboarding.place import Place
from sublet.cli.problems import Problem
from sublet.kube.session import ApiServer
from sublet.manifests.render import Manifest

# not a sublet.dev label: the policies let nobody but the operator write those on namespaces
MADE_BY: Final = "app.kubernetes.io/managed-by"
ONBOARDING: Final = "sublet-onboard"
HUB: Final = "sublet.dev/hub"
OPTIONS: Final = "sublet.dev/onboard-options"
BINDING: Final = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/sublet-operator"


@dataclass(frozen=True, slots=True)
class Install:
    """An onboarding as its marks tell it; an empty text is what they don't tell."""

    hub_uid: str = ""
    namespace: str = ""
    account: str = ""
    options: dict[str, Any] | None = None


async def read_install(leased: ApiServer) -> Install | None:
    """Return the onboarding that a cluster carries, None if it carries none."""
    binding = await read_or_none(leased, BINDING)
    if binding is None:
        return None
    notes = binding["metadata"].get("annotations") or {}
    subjects = binding.get("subjects") or [{}]
    try:
        options = json.loads(notes.get(OPTIONS, "null"))
    except ValueError:
        options = None
    return Install(
        hub_uid=notes.get(HUB, ""),
        namespace=subjects[0].get("namespace", ""),
        account=subjects[0].get("name", ""),
        options=options if isinstance(options, dict) else None,
    )


def check_owner(
    found: Install | None, place: Place, hub_uid: str, *, take_over: bool = False
) -> None:
    """Raise Problem if the cluster was onboarded by another install; it may be taken over if its hub is gone."""
    if found is None:
        return
    if found.hub_uid not in ("", hub_uid) and not take_over:
        raise Problem(
            f"this cluster was onboarded for another hub (its kube-system has the UID {found.hub_uid}): offboard it "
            "from there, or give `sublet onboard` --take-over if that hub is gone"
        )
    if (found.namespace, found.account) != (place.namespace, place.account):
        raise Problem(
            f"this cluster was onboarded for the account {found.namespace}/{found.account}, not "
            f"{place.namespace}/{place.account}: check --namespace, or offboard it as it was onboarded first"
        )


def marked(manifest: Manifest) -> Manifest:
    """Return a manifest with the label that says who made the object."""
    meta = manifest["metadata"]
    labels = {**meta.get("labels", {}), MADE_BY: ONBOARDING}
    return {**manifest, "metadata": {**meta, "labels": labels}}


def signed(manifest: Manifest, *, hub_uid: str, options: dict[str, Any]) -> Manifest:
    """Return a manifest as it is, the binding of the operator's rights with hub and options noted on it."""
    meta = manifest["metadata"]
    if manifest["kind"] != "ClusterRoleBinding":
        return manifest
    notes = {OPTIONS: json.dumps(options, sort_keys=True), **({HUB: hub_uid} if hub_uid else {})}
    return {
        **manifest,
        "metadata": {**meta, "annotations": {**meta.get("annotations", {}), **notes}},
    }


def is_ours(obj: dict[str, Any]) -> bool:
    """Say whether an onboarding made an object."""
    return (obj["metadata"].get("labels") or {}).get(MADE_BY) == ONBOARDING
