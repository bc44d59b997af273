"""What commands write to files, and read from them, is the same in every locale."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sublet.cli.contexts import find_context
from sublet.cli.files import write_whole
from sublet.cli.problems import Problem
from tests.builders.api import claim, uid_of
from tests.harness.small_hub import write_kubeconfig

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
_MAIN = "from sublet.cli.main import main; main()"
BACKUP = ("backup", "--without-ledger")
RESTORE = ("restore", "--without-ledger", "--dry-run")


def in_ascii(kubeconfig: str, *arguments: object) -> str:
    """Run the program where text is ASCII; return what it said."""
    command = [sys.executable, "-c", _MAIN, *map(str, arguments)]
    environment = {**os.environ, **ASCII, "KUBECONFIG": kubeconfig}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_backup_goes_from_one_locale_to_another_and_back(hub: Any, person: Any, tmp_path: Path):
    hub.put(claim("train", tags={"site": "Köln"}))
    for name in ("kube-system", "acme"):
        found = {"metadata": {"name": name, "uid": uid_of(name)}}
        hub.objects[f"/api/v1/namespaces/{name}"] = found
    kubeconfig = str(write_kubeconfig(hub, tmp_path))
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    assert person.run(*BACKUP, mine)[0] == 0
    assert "1 object saved" in in_ascii(kubeconfig, *BACKUP, theirs)

    texts = [json.loads(each.read_text(encoding="utf-8")) for each in (mine, theirs)]
    assert texts[0]["objects"] == texts[1]["objects"]
    assert "acme/train" in person.run(*RESTORE, theirs)[1]
    assert "acme/train" in in_ascii(kubeconfig, *RESTORE, mine)


def test_a_kubeconfig_is_read_in_every_encoding_that_yaml_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "config"
    text = "current-context: Köln\ncontexts: [{name: Köln, context: {namespace: acme}}]\n"
    path.write_text(text, encoding="utf-16")
    monkeypatch.setenv("KUBECONFIG", str(path))

    found = find_context(None)
    assert found is not None
    assert (found.name, found.namespace) == ("Köln", "acme")


def test_a_file_that_is_no_text_is_no_backup(person: Any, tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"\xff\xfe{\x00")

    assert person.run(*RESTORE, path) == (1, "", "sublet: it is no backup: not JSON, or cut off\n")


def test_a_folder_that_isnt_there_is_said_in_one_line():
    with pytest.raises(Problem, match="/nowhere/file can't be written: No such file"):
        write_whole(Path("/nowhere/file"), "x")
