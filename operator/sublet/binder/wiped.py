"""Whether the landlord has wiped a node since a claim's last pod left it, where the lease names a label for that.

The label alone doesn't say it: what was set for the last tenant is still there when the next one leaves, and nobody but
the landlord may take it off. So what it said when the last pod was seen gone is noted on the node itself, in
`sublet.dev/unwiped`, and only what it says otherwise after that counts. Written by whoever takes a claim off a node, each
time by compare-and-set on the whole node, so that the note says what this very node said at that instant; it goes with
the claim's entry. Landlords' tools may read it: a node that has it is to be wiped.
"""

import re
from collections.abc import Mapping
from typing import Final

from sublet.api.ids import ClaimUID
from sublet.binder.locks import annotation_path, is_on, node_path
from sublet.binder.ports import StillThere
from sublet.binder.sites import Berth, Site
from sublet.binder.slots import Urgency
from sublet.binder.together import all_of
from sublet.fleet.nodebook import UNWIPED, Unwiped, format_unwiped, parse_unwiped
from sublet.kube.errors import Conflict, Invalid, NotFound
from sublet.kube.session import JsonPatch
from sublet.kube.wire import Node

_TRIES: Final = 10
_AGAIN_SECONDS: Final = 5.0
_CLEAN: Final = re.compile(r"true|[1-9][0-9]{9,12}")
"""What a label says of a node that is wiped: "true", or when it was, in Unix seconds or milliseconds."""


async def note_vacated(site: Site) -> None:
    """Note on each node what its clean label says now that the last pod is gone; what was noted before stands."""
    await all_of(_look(site, berth) for berth in site.berths)


async def see_clean(site: Site, berth: Berth) -> None:
    """Look live whether the landlord has wiped a node, if its lease asks for that; StillThere if not.

    A node that is gone needs no wiping, and one that the claim is off already isn't its any more.
    """
    found = await _look(site, berth)
    if found is None:
        return
    label, says, noted = found
    node = berth.place.node
    if not says:
        text = f"waiting for the label {label} on node {node}: the landlord sets it when the node is wiped"
        raise StillThere(text, _AGAIN_SECONDS)
    if says == noted:
        text = (
            f"node {node} must be wiped: its label {label} said {says} before the claim's last pod was gone; once it is, "
            "the landlord sets the label to the Unix time of that, or takes it off for some minutes and sets it again"
        )
        raise StillThere(text, _AGAIN_SECONDS)


async def is_held(site: Site, berth: Berth) -> bool:
    """Look live whether the site's claim is on a node."""
    async with site.asking(Urgency.RELEASE):
        node = await _read(berth)
    return node is not None and is_on(node, ClaimUID(site.home.claim_uid))


async def _look(site: Site, berth: Berth) -> tuple[str, str, str] | None:
    """Return a node's clean label, what it says now and what was noted of it, each "" if that isn't "clean".

    Noted is what it said at the first look, and from then on whether it was ever seen without. None: nothing is asked
    for, or the claim isn't on the node.
    """
    label, uid = berth.lease.spec.term.clean_label, ClaimUID(site.home.claim_uid)
    for _ in range(_TRIES if label is not None else 0):
        async with site.asking(Urgency.RELEASE):
            node = await _read(berth)
            if node is None or label is None or not is_on(node, uid):
                return None
            says = node.metadata.labels.get(label, "")
            says = says if _CLEAN.fullmatch(says) else ""
            notes = parse_unwiped(node.metadata.annotations)
            noted = _noted(notes.get(uid), label, says)
            if notes.get(uid) == noted or await _note(berth, node, {**notes, uid: noted}):
                return label, says, noted.value
    if label is not None:
        raise StillThere(f"node {berth.place.node} changes too fast to be looked at")
    return None


def _noted(before: Unwiped | None, label: str, says: str) -> Unwiped:
    """Return what is noted from now on; what was noted of another label says nothing of this one."""
    if before is None or before.label != label or not says:
        return Unwiped(label, says)
    return before


async def _read(berth: Berth) -> Node | None:
    """Read the claim's node live, None if it is gone or another of its name."""
    try:
        node = await berth.cluster.api.get_as(node_path(berth.place.node), Node)
    except NotFound:
        return None
    return node if node.metadata.uid == berth.place.node_uid else None


async def _note(berth: Berth, node: Node, notes: Mapping[ClaimUID, Unwiped]) -> bool:
    """Write the notes if the node is still as it was read; return whether it was."""
    patch: JsonPatch = [
        {"op": "test", "path": "/metadata/uid", "value": node.metadata.uid},
        # of all that it says, or an operator that slept might note the label of one release for the next
        {
            "op": "test",
            "path": "/metadata/resourceVersion",
            "value": node.metadata.resource_version,
        },
        {"op": "add", "path": annotation_path(UNWIPED), "value": format_unwiped(notes)},
    ]
    try:
        written = await berth.cluster.api.patch_as(node_path(berth.place.node), patch, Node)
    except (Invalid, Conflict, NotFound):
        return False
    berth.cluster.observe(written)
    return True
