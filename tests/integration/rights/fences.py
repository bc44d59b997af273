"""Which writes of an account a policy judges: what narrows a right that no role can narrow."""

from collections.abc import Iterable

from tests.integration.rights.audit import Account, Object, Right

_OPERATIONS = {
    "create": "CREATE",
    "update": "UPDATE",
    "patch": "UPDATE",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}


class Fences:
    """The policies, as they are shipped or installed, that are about one account alone and deny."""

    def __init__(self, objects: Iterable[Object], account: Account) -> None:
        every = list(objects)
        denying = {
            m["spec"]["policyName"]
            for m in every
            if m["kind"] == "ValidatingAdmissionPolicyBinding"
            and m["spec"]["validationActions"] == ["Deny"]
        }
        self._rules = [
            rule
            for m in every
            if m["kind"] == "ValidatingAdmissionPolicy"
            and m["metadata"]["name"] in denying
            and [c["expression"] for c in m["spec"].get("matchConditions") or ()]
            == [f"request.userInfo.username == '{account.user}'"]
            for rule in m["spec"]["matchConstraints"]["resourceRules"]
        ]

    def hold(self, right: Right) -> bool:
        """Say whether a policy looks at each use of a right; none ever looks at a read."""
        operation = _OPERATIONS.get(right.verb)
        return any(
            right.group in rule["apiGroups"]
            and right.resource in rule["resources"]
            and operation in rule["operations"]
            for rule in self._rules
        )
