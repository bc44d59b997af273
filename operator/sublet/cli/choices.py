"""What options let a person choose from. Nothing else is loaded for it: help and completion need no more."""

from enum import StrEnum


class Format(StrEnum):
    """What `-o` takes."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"

    @property
    def is_data(self) -> bool:
        """Say whether it is for programs: objects whole, no rows."""
        return self in (Format.JSON, Format.YAML)


class Shell(StrEnum):
    """What completes."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


class MarginOf(StrEnum):
    """What a margin is of."""

    LEASE = "lease"
    CLASS = "class"
    TENANT = "tenant"


class Side(StrEnum):
    """Whose FOCUS files."""

    TENANTS = "tenants"
    WHOLESALE = "wholesale"
    BOTH = "both"


class FocusVersion(StrEnum):
    """Of FOCUS."""

    V1_4 = "1.4"
    V1_2 = "1.2"


class FileFormat(StrEnum):
    """Of files."""

    PARQUET = "parquet"
    CSV = "csv"


class GridOption(StrEnum):
    """How fine rows are cut."""

    HOUR = "hour"
    DAY = "day"
