"""Finds out from a refusal which features a model does not have, although the catalogue lists them.

The refused request can then be adapted to the model by the same rules as any other.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import CooldownRefusal, UpstreamRefusal
from copilot_proxy.formats.efforts import EFFORTS
from copilot_proxy.formats.types import UpstreamBody

Features = Mapping[str, Any]
"""Some of the features in a model's ``supports``, with other values than in the catalogue."""

_INVALID_EFFORT: Final = "invalid_reasoning_effort"
_EFFORTS: Final = re.compile(r"supported values: \[(?P<efforts>[^\]]{1,200})\]")
_WORD: Final = re.compile(r"\w+")
_NO_SCHEMA: Final = re.compile(
    r"FAILED_PRECONDITION|output_config\.format: Extra inputs are not permitted"
)
"""The code or message with which some of the backends for Claude refuse a schema for the output."""


def refused_features(error: UpstreamRefusal, body: UpstreamBody) -> Features:
    """Return the features that caused the refusal of `body`, as the model really has them."""
    if error.upstream_status != 400 or isinstance(error, CooldownRefusal):
        return {}
    code = error.upstream_code or ""
    if code == _INVALID_EFFORT:
        named = _EFFORTS.search(error.message)
        words = _WORD.findall(named["efforts"]) if named is not None else ()
        efforts = [effort for effort in words if effort in EFFORTS]
        return {"reasoning_effort": efforts} if efforts else {}
    config = body.get("output_config")
    has_schema = isinstance(config, Mapping) and config.get("format") is not None
    is_refused = has_schema and _NO_SCHEMA.search(f"{code} {error.message}") is not None
    return {"structured_outputs": False} if is_refused else {}


def with_features(model: Model | None, features: Features) -> Model | None:
    """Return `model` with changed features."""
    if model is None or not features:
        return model
    key = f"with {features}"
    changed: Model | None = model.derived.get(key)
    if changed is None:
        changed = replace(model, supports={**model.supports, **features})
        model.derived[key] = changed
    return changed
