"""The base of every record, and the words that several share."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1

Role: TypeAlias = Literal["head", "neck", "backbone", "beside"]


class Fact(BaseModel):
    """Base of every record."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")
