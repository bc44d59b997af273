"""The attack table as it stands in docs/security.md: `python -m tests.integration.isolation.page` writes it there."""

from pathlib import Path
from typing import Final

from tests.integration.isolation.table import TABLE

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = ROOT / "docs" / "security.md"
BEGIN: Final = "<!-- the attack table, written from tests/integration/isolation/table.py -->"
END: Final = "<!-- the end of the attack table -->"


def path_of(file: str) -> str:
    """Return the path of a test file below the project's folder."""
    return file if "/" in file else f"tests/integration/isolation/{file}"


def as_text() -> str:
    """Return the table as it stands in the page."""
    lines = ["| # | attack | defence | tried by |", "|---|---|---|---|"]
    for number, attack in enumerate(TABLE, 1):
        tests = "<br>".join(f"`{path_of(f).rsplit('/', 1)[-1]}`: `{t}`" for f, t in attack.tests)
        lines.append(f"| {number} | {attack.what} | {attack.defence} | {tests} |")
    return "\n".join(lines)


def written_into(page: str) -> str:
    """Return the page with the table in its place."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{as_text()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written_into(PAGE.read_text()))
