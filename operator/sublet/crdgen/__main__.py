"""`python -m sublet.crdgen [--check] [FOLDER]`: write the CRDs, or say which are out of date."""

import sys
from pathlib import Path

from sublet.api.kinds import ALL_KINDS
from sublet.api.names import GROUP
from sublet.crdgen.crd import custom_resource_definition, to_yaml


def main(arguments: list[str]) -> int:
    """Write or check crds/; return the exit status."""
    check = "--check" in arguments
    folder = Path(next((a for a in arguments if not a.startswith("-")), "crds"))
    stale = []
    for kind in ALL_KINDS:
        path = folder / f"{GROUP}_{kind.plural}.yaml"
        text = to_yaml(custom_resource_definition(kind))
        if path.exists() and path.read_text() == text:
            continue
        stale.append(path)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for path in stale:
        print(f"{path}: {'out of date, run make generate' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
