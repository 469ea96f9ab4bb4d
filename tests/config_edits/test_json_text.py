"""Values in JSON with comments are set or removed, and everything else is unchanged."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.config_edits.changes import with_value
from copilot_proxy.config_edits.document import CannotEdit
from copilot_proxy.config_edits.json_scanner import scan
from copilot_proxy.config_edits.json_text import Item, put_back, remove_value, set_value

PATH = ("provider", "me")
VALUE = {"url": "http://x", "models": ["a"]}


def data(text: str) -> Any:
    value = scan(text)
    return None if value is None else value.data


def without(found: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != key}


def inserted(text: str, after: str) -> str:
    """Return the text inserted into `text`; fail if anything else was changed."""
    start = next((i for i, char in enumerate(text) if char != after[i]), len(text))
    end = len(after) - (len(text) - start)
    assert text == after[:start] + after[end:]
    return after[start:end]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{\n  "a": 1\n}\n', '{\n  "provider": 2,\n  "a": 1\n}\n'),
        ('{\n\t"a": [\n\t\t1\n\t]\n}', '{\n\t"provider": 2,\n\t"a": [\n\t\t1\n\t]\n}'),
        ('{"a":1}', '{"provider": 2, "a":1}'),
        ('{"a": {\n}}', '{\n  "provider": 2,\n  "a": {\n}}'),
        ('{ "a": [\n    1] }', '{\n    "provider": 2,\n    "a": [\n    1] }'),
        ('{ "a": 1 }', '{ "provider": 2, "a": 1 }'),
        (
            '{ // mine\n    "a": 1, // last\n}',
            '{ // mine\n    "provider": 2,\n    "a": 1, // last\n}',
        ),
        ('{\r\n  "a": 1\r\n}\r\n', '{\r\n  "provider": 2,\r\n  "a": 1\r\n}\r\n'),
        ('{ /* 1\n 2 */ "a": 1\n}', '{\n "provider": 2, /* 1\n 2 */ "a": 1\n}'),
        ("{}", '{\n  "provider": 2\n}'),
        ("{\n}\n", '{\n  "provider": 2\n}\n'),
        ("{\n  // none yet\n}\n", '{\n  "provider": 2\n  // none yet\n}\n'),
        ("{ /* none */ }", '{\n  "provider": 2\n /* none */ }'),
        ("", '{\n  "provider": 2\n}\n'),
        ("// nothing", '// nothing\n{\n  "provider": 2\n}\n'),
        ('{"provider": 1, "b": [1,]}', '{"provider": 2, "b": [1,]}'),
        ('{"provider": 2}', '{"provider": 2}'),
    ],
)
def test_a_value_is_set(text: str, expected: str) -> None:
    """The value looks as if the user had written it; comments, commas and line endings stay."""
    assert expected == set_value(text, ("provider",), 2)


@pytest.mark.parametrize(
    "text",
    [
        '{\n  "a": 1 // "provider": {\n}\n',
        '{\n  "a": "{ // no comment }",\n}',
        '{\n  "provider": {\n    "other": {"x": 1} // theirs\n  }\n}',
        '{\n\t"provider": {\n\t\t// theirs\n\t\t"other": {"x": 1,},\n\t},\n}',
        '{"provider":{"other":{}},"b":null}',
        '{\r\n    "provider": {\r\n        "other": 1e5\r\n    }\r\n}',
        '{"\\u0070rovider": {"other": 1}}',
        '{"b": "\\ud800 \\" \\\\"}',
    ],
)
def test_set_and_remove(text: str) -> None:
    """A value that was set can be removed again, and nothing else changes."""
    after = set_value(text, PATH, VALUE)

    assert VALUE == data(after)["provider"]["me"]
    assert after == set_value(after, PATH, VALUE)
    assert "http://x" in inserted(text, after)
    left = data(remove_value(after, PATH))
    assert data(text) == (left if "provider" in data(text) else without(left, "provider"))
    assert text == put_back(after, PATH, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1', "line 1"),
        ('{\n  "a": 1\n  "b": 2\n}', "line 3"),
        ("{'a': 1}", "line 1"),
        ("{} {}", "line 1"),
        ("{\n/* open", "line 2"),
        ('{"a": tru}', "line 1"),
        ('{"a": "x\n"}', "line 1"),
        ("{,}", "line 1"),
        ("[" * 500, "line 1"),
        ("[]", "no object"),
        ('{"provider": []}', "no object"),
        ('{"provider": {}, "provider": {}}', "'provider' twice"),
        ('{"provider": {"me": 1, "me": 2}}', "'me' twice"),
    ],
)
def test_files_that_cannot_be_edited(text: str, reason: str) -> None:
    """A broken or ambiguous file is refused, and the error names the line or the key."""
    with pytest.raises(CannotEdit, match=reason):
        set_value(text, PATH, VALUE)


def test_a_list() -> None:
    """An item with the same name is replaced; otherwise, the new item comes first."""
    path = ("models", Item("id", "b"))
    text = '{\n  "models": [\n    // mine\n    {"id": "a", "x": 1},\n  ],\n}'
    after = set_value(text, path, {"id": "b"})

    assert [{"id": "b"}, {"id": "a", "x": 1}] == data(after)["models"]
    assert text == remove_value(after, path)
    assert {"id": "b", "y": 2} == data(set_value(after, path, {"id": "b", "y": 2}))["models"][0]
    assert [{"id": "b"}] == data(set_value("", [path[1]], {"id": "b"}))
    with pytest.raises(CannotEdit, match="no list"):
        set_value('{"models": {}}', path, {})
    with pytest.raises(CannotEdit, match="'b' twice"):
        set_value('[{"id": "b"}, {"id": "b"}]', [path[1]], {})


def test_restore() -> None:
    """A value gets its old text back; objects created for it are removed unless they are used."""
    original = '{"model": "mine" /* old */, "b": 1}'
    after = set_value(set_value(original, ("model",), "new"), PATH, VALUE)

    assert original == put_back(put_back(after, PATH, original), ("model",), original)
    used = set_value(after, ("provider", "other"), 1)
    assert {"other": 1} == data(put_back(used, PATH, original))["provider"]
    gone = remove_value(after, ("model",))
    assert "mine" == data(put_back(gone, ("model",), original))["model"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "provider", "me", "//", "}"]), inner, max_size=4)
    ),
    max_leaves=12,
)
BLANKS = st.sampled_from(["", " ", "\n", "\r\n", "\t", "// }\n", "/* ] */", "\n  // x\n  "])


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, Any]:
    """Return JSON text with spaces, comments and trailing commas anywhere, and its data."""

    def blanks() -> str:
        return draw(BLANKS)

    def write(value: Any) -> str:
        if not isinstance(value, (dict, list)):
            return json.dumps(value, ensure_ascii=draw(st.booleans()))
        if isinstance(value, dict):
            parts = [
                f"{blanks()}{json.dumps(key)}{blanks()}:{blanks()}{write(inner)}{blanks()}"
                for key, inner in value.items()
            ]
        else:
            parts = [f"{blanks()}{write(inner)}{blanks()}" for inner in value]
        has_comma: bool = draw(st.booleans()) if parts else False
        comma = "," if has_comma else ""
        left, right = "{}" if isinstance(value, dict) else "[]"
        return f"{left}{','.join(parts)}{comma}{blanks()}{right}"

    value = draw(st.dictionaries(st.sampled_from(["a", "provider", "b"]), JSON, max_size=3))
    return draw(BLANKS) + write(value) + draw(BLANKS), value


@given(texts(), JSON)
def test_any_text(generated: tuple[str, Any], value: Any) -> None:
    """In any file, the value is set, and all other data and characters are unchanged."""
    text, before = generated
    assert before == data(text)
    if "provider" in before and not isinstance(before["provider"], dict):
        with pytest.raises(CannotEdit):
            set_value(text, PATH, value)
        return
    after = set_value(text, PATH, value)

    assert with_value(before, PATH, value) == data(after)
    assert before == data(put_back(after, PATH, text))
    if before and before.get("provider", True) and "me" not in before.get("provider", {}):
        # The whitespace of an empty object is replaced; everything else stays.
        assert "me" in inserted(text, after)
