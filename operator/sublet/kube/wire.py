"""The few fields of Kubernetes objects that Sublet reads, as narrow structs.

Decoding straight into these costs 11 µs and 3 KB a node instead of 1.3 ms and 115 KB with typed models
(docs/decisions/0002). Unknown fields are skipped; a missing one takes its zero value. What is larger than an API server
lets it be is refused: leased clusters are strangers. Labels may be any number, so that they aren't read of what
tenants make: one object of theirs would make a list unreadable that shows others'.
"""

from itertools import chain
from typing import Annotated, Final

import msgspec

MOST_ENTRIES: Final = 4_000
"""Of a map or list of one object; a node of a large cluster has a few hundred."""
LONGEST_VALUE: Final = 262_144
"""Of an annotation; an API server allows so much of all annotations together."""
_LONGEST_NAME: Final = 317
"""A label's key: 253 characters, a slash and 63 more."""
_LONGEST_TOKEN: Final = 4_096
"""Of what names the next page; it holds an object's key."""

Name = Annotated[str, msgspec.Meta(max_length=_LONGEST_NAME)]
Text = Annotated[str, msgspec.Meta(max_length=LONGEST_VALUE)]
Words = Annotated[dict[Name, Name], msgspec.Meta(max_length=MOST_ENTRIES)]
Texts = Annotated[dict[Name, Text], msgspec.Meta(max_length=MOST_ENTRIES)]


class Named(msgspec.Struct, rename="camel", gc=False):
    """Metadata of any object, without what its owner may fill at will."""

    name: Name = ""
    namespace: Name = ""
    uid: Name = ""

    @property
    def key(self) -> str:
        """Return `namespace/name`, or the name alone."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Meta(Named):
    """Metadata of an object that isn't a tenant's."""

    resource_version: Name = ""
    labels: Words = {}
    annotations: Texts = {}
    deletion_timestamp: Name | None = None


class HasMeta(msgspec.Struct):
    """Any object on the wire."""

    metadata: Meta


class Version(msgspec.Struct, rename="camel"):
    """What a server says that it is."""

    git_version: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Taint(msgspec.Struct, gc=False):
    """One taint of a node."""

    key: Name = ""
    value: Name = ""
    effect: Name = ""


class NodeSpec(msgspec.Struct):
    """What Sublet reads of a node's spec."""

    taints: Annotated[list[Taint], msgspec.Meta(max_length=MOST_ENTRIES)] = []
    unschedulable: bool = False


class NodeCondition(msgspec.Struct, gc=False):
    """One condition of a node."""

    type: Name = ""
    status: Name = ""
    reason: Text = ""


class NodeStatus(msgspec.Struct):
    """What Sublet reads of a node's status."""

    allocatable: Words = {}
    conditions: Annotated[list[NodeCondition], msgspec.Meta(max_length=MOST_ENTRIES)] = []


class Node(HasMeta):
    """A node, narrow."""

    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)


class Amounts(msgspec.Struct, rename={"gpus": "nvidia.com/gpu"}, gc=False):
    """What a container asks for, of which GPUs alone are read."""

    gpus: Name | None = None


class ResourceList(msgspec.Struct, gc=False):
    """Requests and limits of a container."""

    limits: Amounts | None = None
    requests: Amounts | None = None

    @property
    def has_gpus(self) -> bool:
        """Say whether GPUs are among them."""
        both = (self.limits, self.requests)
        return any(some is not None and some.gpus is not None for some in both)


class Container(msgspec.Struct, gc=False):
    """A container, narrow."""

    resources: ResourceList | None = None


class PodSpec(msgspec.Struct, rename="camel"):
    """What Sublet reads of a pod's spec."""

    node_name: Name = ""
    containers: list[Container] = []
    init_containers: list[Container] = []

    def __post_init__(self) -> None:
        """Keep one container that asks for GPUs: a pod may have thousands, and more of them is never asked."""
        every = chain(self.containers, self.init_containers)
        self.containers = [c for c in every if c.resources and c.resources.has_gpus][:1]
        self.init_containers = []


class PodStatus(msgspec.Struct):
    """What Sublet reads of a pod's status."""

    phase: Name = ""


class Pod(msgspec.Struct):
    """A pod, narrow."""

    metadata: Named
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)

    @property
    def asks_for_gpus(self) -> bool:
        """Say whether any container asks for GPUs and the pod isn't over."""
        return bool(self.spec.containers) and self.status.phase not in ("Succeeded", "Failed")


class ListMeta(msgspec.Struct, rename={"resource_version": "resourceVersion", "next": "continue"}):
    """Metadata of a list."""

    resource_version: Name = ""
    next: Annotated[str, msgspec.Meta(max_length=_LONGEST_TOKEN)] = ""


class RawEvent(msgspec.Struct):
    """One line of a watch, its object not decoded yet."""

    type: str
    object: msgspec.Raw


class Bookmark(msgspec.Struct):
    """The object of a BOOKMARK or, with a code, of an ERROR event."""

    metadata: Meta = msgspec.field(default_factory=Meta)
    code: int = 0
    reason: str = ""
    message: str = ""
