"""docs/cli.md shows what the program prints, of every command."""

import re

import pytest

from sublet.cli.commands.table import COMMANDS
from tests.harness.cli_stage import PAGE, played


def test_what_the_page_shows_is_what_the_program_prints():
    page = PAGE.read_text()

    assert played(page) == page, "play it again: python -m tests.harness.cli_stage"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_on_the_page(name):
    assert re.search(rf"^\$ sublet {name}( |$)", PAGE.read_text(), re.MULTILINE)
