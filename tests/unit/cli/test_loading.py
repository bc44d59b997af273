"""What the command line loads before anybody has asked for anything."""

import subprocess
import sys

_HEAVY = {"kopf", "pyarrow", "obstore", "prometheus_client"}


def test_what_only_some_commands_need_isnt_loaded_for_all():
    program = "import sys, sublet.cli.main; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # fmt: skip

    assert _HEAVY & set(done.stdout.split()) == set()


def test_reports_are_among_the_commands():
    program = "from sublet.cli.main import app; app(['--help'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # fmt: skip

    assert done.returncode == 0
    assert {"margin", "export", "ledger", "usage"} <= set(done.stdout.split())
