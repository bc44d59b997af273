"""YAML that people and strangers wrote: kubeconfigs, above all. Whatever is wrong with it is one kind of error."""

from typing import Any

import yaml


def read_yaml(text: str | bytes) -> Any:
    """Return what a YAML text says; ValueError if it is none, without a word of it.

    A tag such as `!!bool x` makes the library raise whatever its own code stumbles over, with the value in the message.
    """
    try:
        return yaml.safe_load(text)
    except Exception:  # noqa: BLE001  see above
        raise ValueError("it is not YAML") from None
