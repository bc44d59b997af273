import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.cli.problems import describe, fail, note, unexpected
from sublet.kube.errors import BadAnswer, Unreachable, error_from_status
from tests.builders.api import as_claim


def answered(status: int, **body) -> Exception:
    return error_from_status(status, {"reason": "R", "message": "M", **body})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (answered(401), "x: the hub doesn't accept your credentials; log in again"),
        (answered(403), "x: the hub refuses: M; ask for the right"),
        (answered(403, message='User "system:anonymous" cannot get'), "x: the hub doesn't know who you are"),
        (answered(404, details={"name": "n"}), "x: not found on the hub; check name"),
        (answered(404), "x: the hub doesn't know this kind"),
        (answered(500), "x: the hub answered 500 R: M"),
        (Unreachable("refused ssl:<ssl.SSLContext object at 0x7f>"), "x: the hub doesn't answer: refused; is its address right"),
        (Unreachable("SSLError: no start line"), "are certificate-authority-data and the client certificate"),
        (BadAnswer("the answer is not what the API promises"), "x: the hub is asked in vain: the answer is not what the API promises; is its address right, and are its CRDs of this version"),
        (OSError(13, "Permission denied", "f"), "x: [Errno 13] Permission denied: 'f'"),
    ],
)  # fmt: skip
def test_each_error_says_what_to_do(error, words):
    assert words in describe(error, what="x")


def test_an_error_names_the_cluster_that_it_came_from():
    error = answered(401)
    error.add_note("the cluster of context west")

    assert describe(error, what="x").startswith("x: the cluster of context west doesn't accept")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (answered(403), "the hub refuses: M; ask for the right, or check --hub-context"),
        (answered(404, details={"name": "n"}), "not found on the hub; check name and context (--hub-context)"),
        (answered(404), "is it the right cluster (--hub-context), and is Sublet installed there?"),
    ],
)  # fmt: skip
def test_a_command_is_told_of_no_option_that_it_doesnt_have(error, words):
    error.add_note("the hub")
    error.add_note("--hub-context")

    assert describe(error, what="x").endswith(words)


def test_an_object_of_another_version_is_named_by_its_field():
    body = as_claim().model_dump(by_alias=True)
    body["spec"]["gpus"] = "many"
    with pytest.raises(ValueError, match="gpus") as caught:
        GpuClaim.model_validate(body)

    assert "x: spec.gpus isn't as this version of sublet knows it" in describe(caught.value, what="x")  # fmt: skip


def test_a_mistake_of_ours_is_one_line_with_its_place(capsys):
    try:
        {}["a\nb"]
    except KeyError as error:
        said = unexpected(error, what="x")
    with pytest.raises(SystemExit) as ended:
        fail(said)

    assert ended.value.code == 1
    complained = capsys.readouterr().err
    assert complained.startswith("sublet: x: unexpected KeyError: ")
    assert "test_problems.py:" in complained
    assert complained.count("\n") == 1


def test_what_a_cluster_says_drives_no_terminal(capsys):
    note("the cluster answered 500: \x1b]0;x\x07 \x9b2J")

    assert capsys.readouterr().err == "sublet: the cluster answered 500:  ]0;x   2J\n"
