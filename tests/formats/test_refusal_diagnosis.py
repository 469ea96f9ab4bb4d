"""If Copilot refuses a request without a reason, the request is searched for the cause."""

from typing import Any

import pytest

from copilot_proxy.formats.refusal_diagnosis import diagnose
from copilot_proxy.formats.types import Json
from copilot_proxy.formats.upstream_errors import parse_error_response


def refused(body: Json, text: bytes = b"Bad Request\n", status: int = 400, **more: Any) -> Any:
    error = parse_error_response(status, {}, text)
    diagnose(error, body, **more)
    return error


def tool(name: str, schema: Json) -> Json:
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def inside(schema: Json) -> Json:
    return {"type": "object", "properties": {"a": schema}}


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"oneOf": []}, "'oneOf' in parameters.properties.a"),
        ({"type": "array"}, "an array without 'items' in parameters.properties.a"),
        ({"type": "any"}, "the type 'any' in parameters.properties.a"),
        ({"enum": [1]}, "an 'enum' of values that are not strings in parameters.properties.a"),
        ({"anyOf": [{"const": 1}]}, "'const' in parameters.properties.a.anyOf[0]"),
        (
            {"type": "array", "items": {"not": {}}},
            "'not' in parameters.properties.a.items",
        ),
    ],
)
def test_the_suspicious_part_of_a_tool_is_named(schema: Json, where: str) -> None:
    """The error has the client's name for the tool, and the suspicious part of its schema."""
    body = {"tools": [tool("fine", inside({"type": "string"})), tool("short", inside(schema))]}

    error = refused(body, tool_names={"short": "mcp__long"})

    assert (
        "Copilot refused the request without giving a reason. "
        f"The likely cause is {where} of the tool 'mcp__long'." == error.message
    )
    assert ("tools", 400) == (error.param, error.status)


@pytest.mark.parametrize("text", [b"", b"Bad Request\n", b'{"error":{"message":"Bad Request"}}'])
def test_without_a_suspect_the_tools_are_named(text: bytes) -> None:
    """If no schema is suspicious, the error suggests which tools to leave out."""
    body = {"tools": [tool("f", inside({"type": "string"}))]}

    error = refused(body, text)

    assert "Copilot refused the request without giving a reason." == error.message
    assert ": f. Or use another model." in error.hint


def test_without_tools_the_fields_are_named() -> None:
    """For a request without tools, the error names the fields that Copilot received."""
    error = refused({"model": "m", "messages": []})

    assert "Copilot received: messages, model." in error.hint


@pytest.mark.parametrize(
    ("text", "status"), [(b"max_tokens is too large", 400), (b"Bad Request", 500)]
)
def test_other_refusals_are_unchanged(text: bytes, status: int) -> None:
    """An error with a reason, or of another kind, is not changed."""
    error = refused({"tools": [tool("f", inside({"oneOf": []}))]}, text, status)

    assert text.decode() == error.message


IMAGE = "data:image/png;base64," + "A" * 1_200_000
PDF = "A" * 3_000_000
TEXT = "word " * 60_000


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(
            {"messages": [{"role": "user", "content": [
                {"type": "text", "text": TEXT},
                {"type": "image_url", "image_url": {"url": IMAGE}}]}]},
            "1 image or file takes up 1.2 MB of the request's 1.5 MB.",
            id="Chat Completions",
        ),
        pytest.param(
            {"input": [
                {"role": "user", "content": [{"type": "input_image", "image_url": IMAGE}]},
                {"type": "function_call_output", "output": [
                    {"type": "input_file", "file_data": PDF}]}]},
            "2 images and files take up 4.2 MB of the request's 4.2 MB; the largest is 3.0 MB.",
            id="Responses",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [
                {"type": "document", "source": {"type": "base64", "data": PDF}}]}]}]},
            "1 image or file takes up 3.0 MB of the request's 3.0 MB.",
            id="Messages",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": TEXT}]},
            "The text in the request takes up 0.3 MB.",
            id="only text",
        ),
    ],
)  # fmt: skip
def test_the_sizes_of_a_request_that_is_too_large(body: Json, said: str) -> None:
    """The hint says what to make smaller."""
    error = refused(body, b"Request Entity Too Large\n", 413)

    assert "Request Entity Too Large" == error.message
    assert error.hint.startswith("The request is too large. Send smaller")
    assert error.hint.endswith(f" {said}")
