"""`python -m tools.docsgen [--check]`: write the generated pages, or say which are out of date."""

import sys
from pathlib import Path

from tools.docsgen.alerts import alerts_page
from tools.docsgen.decisions import decisions_page
from tools.docsgen.events import events_page
from tools.docsgen.kinds import api_page
from tools.docsgen.logs import logs_page
from tools.docsgen.readme import limits_page, quickstart_page
from tools.docsgen.reasons import reasons_page
from tools.docsgen.settings import settings_page

ROOT = Path(__file__).resolve().parents[2]


def pages() -> dict[str, str]:
    """Return path -> text of every generated page."""
    readme = ROOT / "README.md"
    return {
        "docs/decisions/index.md": decisions_page(ROOT / "docs" / "decisions"),
        "docs/limits.md": limits_page(readme),
        "docs/quickstart.md": quickstart_page(readme),
        "docs/reference/api.md": api_page(),
        "docs/reference/alerts.md": alerts_page(ROOT / "charts" / "sublet" / "rules"),
        "docs/reference/events.md": events_page(),
        "docs/reference/logs.md": logs_page(),
        "docs/reference/reasons.md": reasons_page(),
        "docs/settings.md": settings_page(),
    }


def main(arguments: list[str]) -> int:
    """Write or check the pages; return the exit status."""
    check = "--check" in arguments
    texts = pages()
    stale = [p for p, t in texts.items() if not (ROOT / p).exists() or (ROOT / p).read_text() != t]
    for path in stale:
        if not check:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(texts[path])
        print(f"{path}: {'out of date, run make generate' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
