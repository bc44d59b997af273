"""The hours by which an operator's clock is ahead of ours, so that tests needn't wait (`tests.harness.shifting`)."""

from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack


class Hours:
    """A file that an operator started with `operator()` reads its clock's shift from."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.file = stack.folder / "clock-shift"
        self.file.write_text("0")

    def move(self, hours: float) -> None:
        """Move the clock, and change an object so that the operator looks at it."""
        self.file.write_text(str(hours))
        mark = f"test.example/hours={hours}"
        self._stack.kubectl("hub", "annotate", "--overwrite", "gpulease", "west", mark)

    def operator(self, **settings: str) -> OperatorProcess:
        """Return an operator under this clock, not started yet."""
        return OperatorProcess(
            self._stack, module="tests.harness.shifting", CLOCK_SHIFT=str(self.file), **settings
        )
