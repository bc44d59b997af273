"""A claim as a person asks for it on the command line: options become a spec, and the hub says whether it may be.

What the models can tell is said before anything is sent, by the option's name. The rest is the hub's to judge: it
validates strictly by the CRD, and what it answers is what the person reads.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from sublet.api.gpuclaim import ClaimSpec
from sublet.api.kinds import CLAIMS
from sublet.api.names import API_VERSION
from sublet.api.times import format_instant, parse_instant
from sublet.cli.connect import Cluster
from sublet.cli.durations import parse_duration
from sublet.cli.problems import Problem
from sublet.kube.bodies import decode, decoder_of
from sublet.kube.errors import Conflict, Invalid
from sublet.kube.lists import object_of

MANAGER: Final = "kubectl-sublet"
_OPTIONS: Final = {
    "className": "--class", "gpus": "--gpus", "gpusPerNode": "--gpus-per-node", "minGpus": "--min-gpus",
    "topology": "--scope", "jurisdictions": "--jurisdiction", "regions": "--region", "startTime": "--start",
    "durationSeconds": "--for", "priorityClassName": "--priority-class", "maxPricePerGpuHour": "--max-price",
    "tags": "--tag", "replacement": "--replacement",
}  # fmt: skip
"""Field of the spec -> the option that it is from."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for; None and () are what wasn't said."""

    class_name: str
    gpus: int
    gpus_per_node: int | None = None
    min_gpus: int | None = None
    scope: str | None = None
    jurisdictions: Sequence[str] = ()
    regions: Sequence[str] = ()
    start: str | None = None
    duration: str | None = None
    priority_class: str | None = None
    max_price: str | None = None
    tags: Sequence[str] = ()
    replacement: str | None = None

    def spec(self) -> dict[str, Any]:
        """Return the spec as it is sent; Problem, naming the option, on what can be no claim."""
        where = {"jurisdictions": list(self.jurisdictions), "regions": list(self.regions)}
        when = {"startTime": _instant(self.start), "durationSeconds": _seconds(self.duration)}
        spec = {
            "className": self.class_name,
            "gpus": self.gpus,
            "gpusPerNode": self.gpus_per_node,
            "minGpus": self.min_gpus,
            "topology": _said({"scope": self.scope}),
            "placement": _said(where),
            "schedule": _said(when),
            "priorityClassName": self.priority_class,
            "maxPricePerGpuHour": self.max_price,
            "tags": _tags(self.tags),
            "replacement": self.replacement,
        }
        said = _said(spec)
        try:
            ClaimSpec.model_validate(said)
        except ValidationError as error:
            first = error.errors()[0]
            found = next(
                (_OPTIONS[p] for p in reversed(first["loc"]) if p in _OPTIONS), "the claim"
            )
            raise Problem(f"{found}: {first['msg'].removeprefix('Value error, ')}") from None
        return said


def claim_body(spec: dict[str, Any], **metadata: str) -> dict[str, Any]:
    """Return a GpuClaim to be sent."""
    return {"apiVersion": API_VERSION, "kind": "GpuClaim", "metadata": metadata, "spec": spec}


async def send(hub: Cluster, body: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
    """Create a claim, validated strictly by the hub; Problem with the hub's own words if it refuses."""
    meta = body["metadata"]
    key = f"{meta['namespace']}/{meta['name']}"
    params = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
    try:
        answer = await hub.request(
            "POST",
            CLAIMS.path(meta["namespace"]),
            params=params | ({"dryRun": "All"} if dry_run else {}),
            body=json.dumps(body).encode(),
        )
    except Conflict as error:
        if error.reason != "AlreadyExists":
            raise  # as of a quota that somebody else wrote just now
        raise Problem(
            f"claim {key} is there already; `sublet explain {meta['name']} -n {meta['namespace']}` shows it"
        ) from None
    except Invalid as error:
        raise Problem(f"the hub refuses claim {key}: {error.message}") from error
    return object_of(decode(answer, decoder_of(dict)), f"claim {key}")


def _said(parts: dict[str, Any]) -> dict[str, Any]:
    """Leave out what wasn't said, so that the hub's defaults hold."""
    return {name: value for name, value in parts.items() if value not in (None, [], {}, ())}


def _instant(text: str | None) -> str | None:
    try:
        return format_instant(parse_instant(text)) if text else None
    except ValueError as error:
        raise Problem(f"--start: {error}; give instants as 2026-11-22T10:00:00Z") from None


def _seconds(text: str | None) -> int | None:
    return parse_duration(text, option="--for") if text else None


def _tags(texts: Sequence[str]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise Problem(f"--tag {text!r} isn't NAME=VALUE")
        if name in tags:
            raise Problem(f"--tag {name} is given twice; each name has one value")
        tags[name] = value
    return tags
