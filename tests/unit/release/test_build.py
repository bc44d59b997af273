"""What goes wrong while something is built is one line."""

import tarfile

import pytest

from tools.release.build import BuildError, names_in, unpack


def test_a_link_that_leads_out_of_an_archive_is_refused_in_one_line(tmp_path):
    archive = tmp_path / "head.tar"
    with tarfile.open(archive, "w") as tar:
        link = tarfile.TarInfo(".venv")
        link.type, link.linkname = tarfile.SYMTYPE, "/elsewhere"
        tar.addfile(link)

    with pytest.raises(BuildError, match=r"^head\.tar can't be unpacked: '\.venv' is a link"):
        unpack(archive, tmp_path / "head")


def test_an_archives_files_are_named_without_its_folders(tmp_path):
    (tmp_path / "sublet").mkdir()
    (tmp_path / "sublet" / "a.py").write_text("")
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as tar:
        tar.add(tmp_path / "sublet", "sublet")

    assert names_in(tmp_path / "x.tgz") == ["sublet/a.py"]
