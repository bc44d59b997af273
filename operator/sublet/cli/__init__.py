"""The command line: `sublet`, also found by kubectl as the plugin `kubectl sublet`. One program.

Tenants' commands read and write objects with the user's own kubeconfig and rights, and need nothing else. What
needs the operator's memory or ledger comes from its admin endpoint, reached by port-forward, so that the gate
is RBAC on pods/portforward.
"""

import gc
import sys
from typing import Final

_GARBAGE_AFTER: Final = 500_000
"""Containers made before garbage is looked for: a command that loads its modules, reads a thousand objects and ends needs
no such look, and spent a fifth of its time on it; one that runs for long still has them. The operator sets its own."""


def main() -> None:
    """Run the command line: the entry point of `sublet` and `kubectl-sublet`."""
    gc.set_threshold(_GARBAGE_AFTER)
    try:
        # loading takes a moment, in which Ctrl-C must be as quiet as later
        from sublet.cli.main import main as program  # noqa: PLC0415  a broken installation is one line, too

        program()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        # the process ends: to look through all that it holds for cycles took an eighth of `sublet top`
        gc.freeze()


def complete() -> None:
    """Answer kubectl, which wants to complete `kubectl sublet`: the entry point of `kubectl_complete-sublet`."""
    try:
        from sublet.cli.completion import for_kubectl  # noqa: PLC0415  likewise

        print(for_kubectl(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
