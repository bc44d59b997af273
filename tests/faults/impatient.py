"""An operator that soon takes a silent watch for dead: `python -m tests.faults.impatient`, of the kind that `IMPATIENT_OF` names.

A silence of more than a minute is what the operator waits for, which no plan has time for; all else is as it ships. The hub's
kinds are watched by kopf, nodes and credentials by our informer. `CLOCK_SHIFT` moves its clock, too (`tests.harness.shifting`).
"""

import os
import sys
from typing import Any, Final

import kopf

from sublet.hub import feed, kopf_settings
from sublet.kube import informer
from sublet.process import main
from tests.harness import shifting

SILENCE_SECONDS: Final = 1.5


def wrap(resource: str) -> None:
    """Shorten the silence that ends a watch of this kind."""
    begin, settings = informer.Informer.__init__, kopf_settings.kopf_settings

    def shorter(self: Any, api: Any, target: informer.Target, *given: Any, **named: Any) -> None:
        if target.path.endswith(f"/{resource}"):
            named["silence_seconds"] = SILENCE_SECONDS
        begin(self, api, target, *given, **named)

    def sooner() -> kopf.OperatorSettings:
        found = settings()
        found.watching.inactivity_timeout = SILENCE_SECONDS
        return found

    informer.Informer.__init__ = shorter  # type: ignore[method-assign]  # that is the point
    informer.MAX_BACKOFF_SECONDS = informer.FIRST_BACKOFF_SECONDS = 0.1  # it comes back at once
    feed.kopf_settings = sooner  # type: ignore[attr-defined]  # as above


if __name__ == "__main__":
    shifting.wrap()
    wrap(os.environ["IMPATIENT_OF"])
    sys.exit(main())
