"""Validates decoded JSON against a schema, with errors in plain words rather than type names."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from copilot_proxy.errors import RequestError

_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*?)`)?$", re.DOTALL)
_MISSING: Final = re.compile(r"missing required field `(\w+)`")
_WRONG_TYPE: Final = re.compile(r"Expected `(?P<expected>[^`]*)`, got `(?P<got>[^`]*)`")
_WRONG_VALUE: Final = re.compile(r"Invalid (?:enum )?value (?P<value>.*)", re.DOTALL)
"""msgspec's error messages about invalid values."""
_STEP: Final = re.compile(r"\[(?P<index>[^\]]*)\]|(?P<name>[^.\[]+)")
"""A part of a path such as ``messages[0].content``."""
_TYPES: Final = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
}


def check_shape(value: object, schema: Any, at: str = "") -> None:
    """Raise a `RequestError` that names the first field that is missing or has the wrong type.

    `schema` is a msgspec type. `at` is the path of `value` in the request, or "" for the entire
    request.
    """
    try:
        msgspec.convert(value, schema)
    except msgspec.ValidationError as error:
        raise _error(str(error), schema, at) from None


def _error(text: str, schema: Any, at: str) -> RequestError:
    match = _AT.match(text)
    what, inner = (match["what"], match["path"] or "") if match else (text, "")
    path = at + (f".{inner}" if at and inner and inner[0] != "[" else inner)
    if missing := _MISSING.search(what):
        param = f"{path}.{missing[1]}" if path else missing[1]
        return RequestError(
            f"Missing required parameter: '{param}'.",
            param=param,
            code="missing_required_parameter",
        )
    code = "invalid_type"
    if wrong := _WRONG_TYPE.fullmatch(what):
        names = wrong["expected"].split(" | ")
        is_decimal = "int" in names and wrong["got"] == "float"
        got = "a decimal number" if is_decimal else _TYPES.get(wrong["got"], wrong["got"])
        reason = f"must be {_either([_TYPES.get(name, name) for name in names])}, not {got}"
    elif wrong := _WRONG_VALUE.fullmatch(what):
        code = "invalid_value"
        reason = f"{wrong['value']} is not one of {', '.join(_allowed(schema, inner))}"
    else:
        reason = what.replace("`", "'")
    if not path:
        return RequestError(f"The body {reason}.", code=code)
    return RequestError(f"Invalid '{path}': {reason}.", param=path, code=code)


def _either(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _allowed(schema: Any, path: str) -> list[str]:
    """Return the allowed values of the field at `path`, including the tags of a union."""
    # Only needed for errors, and slow to import.
    from msgspec import inspect

    types = list(_flat(inspect.type_info(schema)))
    steps = list(_STEP.finditer(path))
    for number, step in enumerate(steps, 1):
        name, found = step["name"], list[inspect.Type]()
        for one in types:
            if isinstance(one, inspect.StructType) and name is not None:
                if one.tag_field == name and number == len(steps):
                    found.append(inspect.LiteralType((one.tag,)))
                found += [field.type for field in one.fields if field.encode_name == name]
            elif isinstance(one, inspect.ListType) and name is None:
                found.append(one.item_type)
            elif isinstance(one, inspect.DictType):
                found.append(one.value_type)
        types = [inner for one in found for inner in _flat(one)]
    literals = [one.values for one in types if isinstance(one, inspect.LiteralType)]
    return list(dict.fromkeys(str(value) for values in literals for value in values))


def _flat(one: Any) -> Iterator[Any]:
    yield from getattr(one, "types", (one,))
