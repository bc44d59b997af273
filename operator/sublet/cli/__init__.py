"""The command line: `sublet`, also found by kubectl as the plugin `kubectl sublet`. One program.

Tenants' commands read and write objects with the user's own kubeconfig and rights, and need nothing else. What
needs the operator's memory or ledger comes from its admin endpoint, reached by port-forward, so that the gate
is RBAC on pods/portforward.
"""

import sys


def main() -> None:
    """Run the command line: the entry point of `sublet` and `kubectl-sublet`."""
    try:
        # loading takes most of a second, in which Ctrl-C must be as quiet as later
        from sublet.cli.main import main as program  # noqa: PLC0415  a broken installation is one line, too

        program()
    except KeyboardInterrupt:
        sys.exit(130)
