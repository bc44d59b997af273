"""What the manifests of a leased cluster are filled in with."""

import hashlib

from sublet.binder.access import MIN_TOKEN_SECONDS
from sublet.fleet.isolation import ONBOARDING_VERSION
from sublet.manifests.render import LeasedOptions, leased_cluster, to_yaml
from sublet.settings import LONGEST_TOKEN_SECONDS, Settings


def fence() -> list[str]:
    """Return the expressions of the fence around the operator's credential."""
    (policy,) = (
        m
        for m in leased_cluster(LeasedOptions())
        if m["kind"] == "ValidatingAdmissionPolicy"
        and m["metadata"]["name"] == "sublet-operator-fence"
    )
    return [each["expression"] for each in policy["spec"]["validations"]]


def test_a_token_may_live_as_long_as_the_longest_setting_and_no_longer():
    (said,) = (e for e in fence() if "expirationSeconds" in e)

    assert said.endswith(f"dyn(object).spec.expirationSeconds <= {LONGEST_TOKEN_SECONDS}")
    setting = Settings.model_json_schema()["properties"]["token_life_seconds"]
    assert setting["maximum"] == LONGEST_TOKEN_SECONDS
    assert MIN_TOKEN_SECONDS <= LONGEST_TOKEN_SECONDS


def test_who_changes_what_onboarding_installs_raises_its_version():
    text = to_yaml(leased_cluster(LeasedOptions()))
    found = (ONBOARDING_VERSION, hashlib.sha256(text.encode()).hexdigest()[:16])

    raise_it = "raise ONBOARDING_VERSION (fleet/isolation.py) and write it here with the new hash"
    assert found == (5, "60a3202a5889a1f4"), raise_it


def test_nothing_is_left_to_fill_in():
    assert "@" not in "".join(fence())
