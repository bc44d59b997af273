"""The variables that open devices: every policy that guards one guards all."""

import pytest

from sublet.manifests import devices
from sublet.manifests.render import LeasedOptions, leased_cluster, to_yaml


def policy(kind: str, name: str, **options: tuple[str, ...]) -> str:
    """Return a policy's text."""
    found = leased_cluster(LeasedOptions(**options))
    return to_yaml(m for m in found if (m["kind"], m["metadata"]["name"]) == (kind, name))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("ValidatingAdmissionPolicy", "sublet-claim-pods"),
        ("ValidatingAdmissionPolicy", "sublet-claim-env-keys"),
        ("MutatingAdmissionPolicy", "sublet-claim-defaults"),
    ],
)
def test_every_place_knows_every_variable(kind: str, name: str):
    text = policy(kind, name)

    assert [v for v in devices.OFF if f"'{v}'".replace("'", "''") not in text and f"'{v}'" not in text] == []  # fmt: skip


def test_what_the_clusters_device_plugin_sets_is_left_on_and_stays_refused_to_pods():
    left = {"device_variables": ("NVIDIA_GDS",)}

    assert "NVIDIA_GDS" not in policy("MutatingAdmissionPolicy", "sublet-claim-defaults", **left)
    assert "NVIDIA_GDS=disabled" in policy("ValidatingAdmissionPolicy", "sublet-claim-pods", **left)


@pytest.mark.parametrize("name", ["NVIDIA_VISIBLE_DEVICES", "NVIDIA_GSD"])
def test_no_other_variable_is_left_on(name: str):
    with pytest.raises(ValueError, match=f"{name} isn't one of NVIDIA_IMEX_CHANNELS"):
        devices.words([name])
