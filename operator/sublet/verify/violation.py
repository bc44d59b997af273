"""One broken invariant, in words for whoever must mend it."""

from dataclasses import dataclass, field

from sublet.api.ids import ClaimUID


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong, where, and what to do. Names no price, no credential, and no tenant but by its objects' names."""

    id: str
    """Of the invariant: S1 … S12, L2 … L5, A1 … A4."""
    subject: str
    """Where, such as `node west/h100-0` or `claim acme/train`."""
    message: str
    """What is wrong, and what to do."""
    about: frozenset[ClaimUID] = field(default=frozenset(), compare=False)
    """The claims whose status was compared with another plane: if one was written meanwhile, nothing can be said."""
    figures: str = field(default="", compare=False)
    """What of it grows with time: the same fault has other figures when it is looked at again."""

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.id} {self.subject}: {self.words}"

    @property
    def words(self) -> str:
        """Return the message with its figures."""
        return f"{self.message} ({self.figures})" if self.figures else self.message
