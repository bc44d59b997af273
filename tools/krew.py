"""Makes what krew installs: an archive of the wheel and its launcher, and the manifest that names it.

`python tools/krew.py WHEEL --releases URL --homepage URL` writes both into build/krew. The same wheel gives the same
bytes; the manifest expects the archive at URL/vVERSION/.
"""

import argparse
import gzip
import hashlib
import io
import re
import sys
import tarfile
from pathlib import Path
from string import Template

ROOT = Path(__file__).parents[1]
PLUGINS = ROOT / "plugins"
WHEEL = re.compile(r"sublet-([0-9]+\.[0-9]+\.[0-9]+[0-9a-z.+-]*)-py3-none-any\.whl")


def main() -> int:
    """Write archive and manifest; return 1 if the wheel isn't one."""
    parser = argparse.ArgumentParser(description="Make the krew archive and its manifest.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--releases", required=True, help="below it the archive is found")
    parser.add_argument("--homepage", required=True)
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "krew")
    given = parser.parse_args()
    found = WHEEL.fullmatch(given.wheel.name)
    if found is None or not given.wheel.is_file():
        print(f"{given.wheel} is no wheel of sublet; make one with `pip wheel --no-deps .`")
        return 1
    given.into.mkdir(parents=True, exist_ok=True)
    version = found[1]
    archive = given.into / f"kubectl-sublet-v{version}.tar.gz"
    archive.write_bytes(archive_of(given.wheel))
    uri = f"{given.releases.rstrip('/')}/v{version}/{archive.name}"
    manifest = manifest_of(version, uri, given.homepage, archive.read_bytes())
    (given.into / "sublet.yaml").write_text(manifest)
    print(f"{archive}\n{given.into / 'sublet.yaml'}")
    return 0


def archive_of(wheel: Path) -> bytes:
    """Return the archive: the same bytes for the same wheel, whenever it is made."""
    files = [(PLUGINS / "kubectl-sublet", 0o755), (wheel, 0o644), (ROOT / "LICENSE", 0o644)]
    packed, plain = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, mode in files:
            entry = tarfile.TarInfo(path.name)
            entry.size, entry.mode = path.stat().st_size, mode
            with path.open("rb") as content:
                archive.addfile(entry, content)
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as out:
        out.write(plain.getvalue())
    return packed.getvalue()


def manifest_of(version: str, uri: str, homepage: str, archive: bytes) -> str:
    """Return the manifest for an archive that lies at a URI."""
    text = Template((PLUGINS / "sublet.yaml").read_text())
    digest = hashlib.sha256(archive).hexdigest()
    return text.substitute(version=version, uri=uri, homepage=homepage, sha256=digest)


if __name__ == "__main__":
    sys.exit(main())
