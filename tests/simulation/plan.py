"""What a seed stands for: the size of the world, who acts in it, and which faults may strike.

Everything of a history follows from its seed and this plan; a plan may be narrowed by hand or by shrinking.
"""

import random
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from tests.simulation.network import RATES

ACTORS: Final = (
    "tenants",
    "workloads",
    "landlords",
    "contracts",
    "swaps",
    "crashes",
    "pauses",
    "partitions",
    "clogs",
    "clocks",
    "server clocks",
    "ledger",
    "compactions",
    "rewinds",
    "hub rewinds",
)
"""Who acts beside the operators; each is in a history or not."""
REWINDS: Final = ("rewinds", "hub rewinds")
"""Rare: what comes after them can be told less exactly, and it takes long until all is at rest."""


@dataclass(frozen=True)
class Plan:
    """One history."""

    seed: int
    nodes: tuple[int, ...]
    """Nodes of each leased cluster."""
    sharing: tuple[str, ...]
    """Node sharing of each lease."""
    replicas: int
    elects: bool
    """Leader election is on; without it two replicas decide at once."""
    claims: int
    """At the beginning."""
    steps: int
    """How many times each actor acts."""
    seconds: float
    """How long the actors act and faults strike."""
    actors: tuple[str, ...]
    faults: tuple[str, ...]
    slow_controllers: bool
    belt: bool = True
    """The policy that guards nodes' books inside the leased cluster acts."""

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """Draw the plan of a seed."""
        rng = random.Random(f"plan {seed}")
        clusters = rng.choice((1, 1, 2))
        replicas = rng.choice((1, 2, 2))
        elects = rng.random() < 0.75
        # without election two replicas that see differently overwrite each other's words again and again: shorter histories
        calm = elects or replicas == 1
        return cls(
            seed=seed,
            nodes=tuple(rng.randint(1, 3) for _ in range(clusters)),
            sharing=tuple(rng.choice(("None", "SameTenant", "AnyTenant")) for _ in range(clusters)),
            replicas=replicas,
            elects=elects,
            claims=rng.randint(1, 4),
            steps=rng.randint(2, 12),
            seconds=rng.choice((20.0, 60.0, 120.0)) if calm else 10.0,
            actors=tuple(a for a in ACTORS if rng.random() < (0.05 if a in REWINDS else 0.5)),
            faults=tuple(f for f in RATES if rng.random() < 0.5),
            slow_controllers=rng.random() < 0.3,
        )

    def narrowed(self, **changes: Any) -> "Plan":
        """Return the plan with some things otherwise."""
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()}
        return replace(self, **lists)

    def differences(self) -> dict[str, Any]:
        """Return in what it differs from its seed's own plan."""
        mine, drawn = asdict(self), asdict(Plan.of(self.seed))
        return {k: v for k, v in mine.items() if v != drawn[k]}
