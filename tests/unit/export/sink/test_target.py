"""What a person may write as the place for files."""

from pathlib import Path

import pytest

from sublet.export.sink.bucket import Bucket
from sublet.export.sink.directory import Directory
from sublet.export.sink.target import NoTarget, sink_of


def test_a_path_is_a_directory():
    assert isinstance(sink_of("/var/exports"), Directory)
    assert isinstance(sink_of("~/exports"), Directory)
    assert vars(sink_of("~/x"))["_root"] == Path("~/x").expanduser()


@pytest.mark.parametrize("target", ["s3://finance", "s3://finance/", "s3://my.bucket-1/a/b"])
def test_a_bucket_may_have_a_prefix(target):
    assert isinstance(sink_of(target, environment={}), Bucket)


def test_where_the_server_is_the_environment_may_say():
    sink = sink_of("s3://finance/x", environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"})
    assert vars(sink)["_where"] == "bucket finance at http://127.0.0.1:9000"

    given = sink_of("s3://finance", endpoint="https://s3.example.org", environment={"AWS_ENDPOINT_URL": "http://x"})  # fmt: skip
    assert vars(given)["_where"] == "bucket finance at https://s3.example.org"
    assert vars(sink_of("s3://finance", environment={"AWS_REGION": "eu-west-1"}))["_where"] == "bucket finance at AWS eu-west-1"  # fmt: skip


@pytest.mark.parametrize("target", ["", " ", "gs://x/y", "s3://", "s3://Bad_Name/x", "s3://finance/a//b", "s3://finance/../b", "file:///x", "https://x"])  # fmt: skip
def test_anything_else_is_refused_in_words(target):
    with pytest.raises(NoTarget, match="directory, or s3://bucket/prefix"):
        sink_of(target)


def test_a_home_that_is_nobodys_is_refused_in_words():
    with pytest.raises(NoTarget, match="'~nobody-of-that-name/x' is no place for files"):
        sink_of("~nobody-of-that-name/x")


@pytest.mark.parametrize(
    "endpoint",
    [
        "s3.example.org",
        "http://[",
        "http://s3:99999",
        "http://s 3",
        "https://user:secret@s3.example.org",
    ],
)
def test_an_endpoint_must_be_a_url_with_a_host_and_without_a_password(endpoint):
    with pytest.raises(NoTarget, match="no S3 endpoint") as said:
        sink_of("s3://finance", endpoint=endpoint)
    assert "secret" not in str(said.value)
