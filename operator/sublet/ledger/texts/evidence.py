"""Why GPUs of a claim didn't work: what stands under the price hash of a `downtime` line, which costs nothing by itself.

Written by the meter with the line, read by whoever shows or argues about downtime: the claim's status forgets it.
"""

from typing import ClassVar

from sublet.api.downtime import DowntimeCause
from sublet.ledger.texts.base import Text


class Evidence(Text):
    """What was seen of the nodes."""

    KIND: ClassVar[str] = "downtime"
    kind: str = "downtime"
    cause: DowntimeCause
