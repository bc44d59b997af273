"""The command line: `sublet`, also found by kubectl as the plugin `kubectl sublet`. One program.

Tenants' commands read and write objects with the user's own kubeconfig and rights, and need nothing else. What
needs the operator's memory or ledger comes from its admin endpoint, reached by port-forward, so that the gate
is RBAC on pods/portforward.
"""

from sublet.cli.main import main

__all__ = ["main"]
