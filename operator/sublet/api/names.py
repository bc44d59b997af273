"""What the API is called, and how names in it look. Without a model: a command that shows objects as they are loads none."""

from typing import Final

GROUP: Final = "sublet.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KUBECONFIG_TYPE: Final = f"{GROUP}/kubeconfig"
"""Type of the Secret that has a claim's kubeconfig."""
KUBECONFIG_KEY: Final = "value"
"""The Secret's key of the kubeconfig: the one that Flux and Cluster API read."""

UID_PATTERN: Final = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_NAME: Final = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"
WORD: Final = r"^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$"
"""What a label's value may be: safe in a label, a metric, a file name and a CEL string."""
