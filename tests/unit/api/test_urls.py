"""What is taken for a URL that can be asked."""

import pytest

from sublet.api.urls import host_of


@pytest.mark.parametrize(
    "url", ["https://s3.example.org", "http://s3.example.org:9000/x", "https://[::1]:443"]
)
def test_a_url_with_a_host_names_it(url: str):
    assert host_of(url) in url
    assert host_of(url)


@pytest.mark.parametrize("url", ["", "s3.example.org", "http://", "http://[::1", "http://h:99999", "http://h:0"])  # fmt: skip
def test_what_cant_be_asked_has_no_host(url: str):
    assert host_of(url) == ""
