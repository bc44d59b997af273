"""The variables by which nvidia-container-toolkit opens devices in a container, without privilege and past any device plugin.

They are in one list here, since each place that misses one is a hole: the pods' own environment, prefixes, keys of ConfigMaps and
Secrets, and what an image's own environment says. The toolkit reads them only where it also finds a GPU, so a container without
one needs the first alone; one with a GPU has that from the device plugin, and all others off.
"""

from collections.abc import Collection, Mapping
from typing import Final

VISIBLE: Final = "NVIDIA_VISIBLE_DEVICES"
OFF: Final[Mapping[str, str]] = {
    VISIBLE: "void",
    "NVIDIA_IMEX_CHANNELS": "void",
    "NVIDIA_GDS": "disabled",
    "NVIDIA_GDRCOPY": "disabled",
    "NVIDIA_MOFED": "disabled",
    "NVIDIA_NVSWITCH": "disabled",
}
"""variable -> the value with which it opens nothing; of the last four the toolkit knows `enabled` alone"""


def words(left: Collection[str]) -> dict[str, str]:
    """Return what policies are filled in with; `left`: variables that the cluster's device plugin sets itself.

    What it sets stands over the image's, and would be lost if it were set off. ValueError for a name that isn't listed.
    """
    if strange := sorted({*left} - {*OFF} | {*left} & {VISIBLE}):
        raise ValueError(f"{strange[0]} isn't one of {' '.join(x for x in OFF if x != VISIBLE)}")
    return {
        "DEVICES_OFF": _cel(OFF),
        "DEVICES_SET_OFF": _cel({k: v for k, v in OFF.items() if k not in left}),
        "DEVICES_SAID": " ".join(f"{k}={v}" for k, v in OFF.items()),
        "OTHERS_SAID": " ".join(f"{k}={v}" for k, v in OFF.items() if k not in (VISIBLE, *left)),
    }


def _cel(variables: Mapping[str, str]) -> str:
    return "[" + ", ".join(f"{{'name': '{k}', 'value': '{v}'}}" for k, v in variables.items()) + "]"
