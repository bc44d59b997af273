"""What earlier versions wrote, kept as files: this version must go on with it as it was agreed."""

import json
from pathlib import Path
from typing import Final

from sublet.api.gpuclaim import GpuClaim

_KEPT: Final = Path(__file__).parents[1] / "integration/chart/earlier/claim-0.1.0-ba307e4.json"


def earlier_claim() -> tuple[GpuClaim, dict[str, str]]:
    """Return a bound claim of 2 of a node's 8 GPUs and its quota, as the packed chart's operator wrote them.

    Its class had a hostShare of 8 CPU cores and 65,536 MiB, of which the claim itself says nothing.
    """
    kept = json.loads(_KEPT.read_text())
    return GpuClaim.model_validate(kept["claim"]), kept["quota"]
