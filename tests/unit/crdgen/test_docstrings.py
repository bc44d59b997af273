"""What stands under a field in the models' source is what the CRD says of it."""

from typing import Annotated, ClassVar

from pydantic import Field

from sublet.api.schema import ApiModel
from sublet.crdgen.docstrings import field_docstrings
from sublet.crdgen.schema import structural_schema


class Size(ApiModel):
    """How much."""

    gpu_count: Annotated[int, Field(ge=1)] = 1
    """How many GPUs.

    At least one.
    """
    unit: str = ""


class Named(ApiModel):
    """What has a name."""

    name: str
    """What it is called."""
    kinds: ClassVar[int] = 5
    """A text under what is no field."""


class Spec(Named):
    """What is wanted."""

    size: Size = Size()
    """How large."""
    least: Size | None = None
    """The smallest that will do."""
    name: str = "x"


class Thing(ApiModel):
    """A kind."""

    spec: Spec


def test_a_field_has_the_text_that_stands_under_it():
    assert field_docstrings(Size) == {"gpu_count": "How many GPUs.\n\nAt least one."}


def test_a_field_that_is_written_anew_without_a_text_keeps_its_bases():
    assert field_docstrings(Spec)["name"] == "What it is called."


def test_the_crd_says_it_by_the_names_on_the_wire():
    spec = structural_schema(Thing, "spec")

    said = {name: each.get("description") for name, each in spec["properties"].items()}
    assert said == {"name": "What it is called.", "size": "How large.", "least": "The smallest that will do."}  # fmt: skip
    assert spec["properties"]["size"]["properties"]["gpuCount"]["description"].startswith("How many GPUs.")  # fmt: skip
    assert spec["description"] == "What is wanted."
