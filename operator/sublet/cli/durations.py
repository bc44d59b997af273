"""Lengths of time as people write them: `90s`, `30m`, `4h`, `7d`, and what is put together of these."""

import re
from typing import Final

from sublet.cli.problems import Problem

_UNITS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}  # letter -> seconds
_PARTS: Final = re.compile(r"([0-9]{1,9})([wdhms])")


def parse_duration(text: str, *, option: str) -> int:
    """Return a number of seconds, at least 1; Problem, naming the option, on what is no length of time."""
    parts = _PARTS.findall(text)
    seconds = sum(int(count) * _UNITS[unit] for count, unit in parts)
    if not seconds or "".join(map("".join, parts)) != text:
        raise Problem(f"{option} {text!r} is no length of time; write it as 90m, 4h, 7d or 1d12h")
    return seconds


def duration(seconds: int) -> str:
    """Write a number of seconds as its two largest units: `1d 4h`, `12m 5s`."""
    units = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    parts = []
    for unit, size in units:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
