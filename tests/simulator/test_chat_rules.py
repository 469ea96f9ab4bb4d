"""The validation of chat completion requests."""

import base64

import pytest

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
ASKS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"}
UNMATCHED = "tool_use ids were found without tool_result blocks immediately after"


def tool(name="get_weather", **changed):
    return {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object"}, **changed},
    }


def refused(answer, code="invalid_request_body"):
    """Return the message of a refusal with this code."""
    assert 400 == answer.status_code, answer.text
    assert code == answer.json()["error"]["code"]
    return answer.json()["error"]["message"]


def picture(media="image/png", data=None, size=16):
    data = base64.b64encode(b"\0" * size).decode() if data is None else data
    return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{data}"}}


def look(copilot, *parts, model="gpt-4o", vision="true"):
    body = {"model": model, "messages": [{"role": "user", "content": list(parts)}]}
    return copilot.post("/chat/completions", body, copilot_vision_request=vision)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": None},
        {"messages": []},
        {"messages": "Hi"},
        {"messages": ["Hi"]},
        {"messages": [{"role": 1, "content": "Hi"}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"role": "user", "content": ["Hi"]}]},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": []}]},
        {"messages": [{"role": "assistant", "content": None}, USER]},
        {"messages": [{"role": "robot", "content": "Hi"}]},
        {"messages": [{"role": "function", "name": "f", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        {"messages": [USER, ASKS | {"tool_calls": ["x"]}, RESULT]},
        {"messages": [USER, ASKS | {"tool_calls": [{"function": {"name": "f"}}]}, RESULT]},
        {"messages": [USER, ASKS | {"tool_calls": [{"id": "1", "function": {"name": 1}}]}, RESULT]},
        {"messages": [USER, ASKS, {"role": "tool", "content": "Sunny"}]},
        {"temperature": "warm"},
        {"stream": "yes"},
        {"max_tokens": True},
        {"max_tokens": 0},
        {"n": 0},
        {"n": 129},
        {"messages": [USER, {"role": "assistant", "content": "x", "tool_calls": 5}]},
        {"stop": [1]},
        {"tools": "all"},
        {"tools": ["get_weather"]},
        {"tools": [{"type": "web_search"}]},
        {"tools": [tool(parameters=None)]},
        {"tools": [tool(parameters={"type": "string"})]},
        {"tools": [tool("two words")]},
        {"tools": [tool("x" * 65)]},
        {"tools": [tool("")]},
        {"tools": [tool(str(number)) for number in range(129)]},
        {"tools": [tool()], "tool_choice": "always"},
        {"tools": [tool()], "tool_choice": {"type": "function", "function": {"name": "other"}}},
        {"tools": [tool()], "tool_choice": {"type": "function", "function": "get_weather"}},
        {"tool_choice": "required"},
        {"prediction": {"type": "content", "content": ""}},
        {"response_format": {"type": "xml"}},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"required": 1}}}},
        {"thinking_budget": 2000},
    ],
)
def test_invalid_bodies_are_refused(copilot, fields):
    """A body that violates the schema is refused with 400 invalid_request_body."""
    refused(copilot.chat(**fields))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff"])
def test_bodies_that_are_not_objects_are_refused(copilot, content):
    """A body that is not an object is also refused with 400 invalid_request_body."""
    answer = copilot.http.post("/chat/completions", content=content, headers=copilot.headers)
    assert "invalid request body" == refused(answer)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.2, "top_p": 0.5, "seed": 1, "user": "me", "stop": ["x"], "n": None},
        {"unknown_field": True, "intent": False},
        {"max_tokens": 5},
        {"max_completion_tokens": 5},
        {"tools": [tool("x" * 64)], "tool_choice": "auto"},
        {"tools": [tool(str(number)) for number in range(128)]},
        {"messages": [{"role": "developer", "content": "Be nice"}, USER]},
        {"messages": [USER, ASKS, RESULT]},
        {"messages": [USER, ASKS, RESULT, USER]},
        {"messages": [USER, {"role": "assistant", "content": "Prefix"}]},
        {"parallel_tool_calls": True, "metadata": {}},
        {"prediction": {"type": "content", "content": "Hello"}},
    ],
)
def test_valid_bodies_are_accepted(copilot, fields):
    """Valid bodies are accepted, and GPT ignores unknown fields."""
    assert 200 == copilot.chat(**fields).status_code


def test_a_schema_with_hundreds_of_levels_is_refused(copilot):
    """A deeply nested schema is refused, and does not crash the simulator."""
    schema = '{"type": "array", "items": ' * 900 + "{}" + "}" * 900
    body = (
        '{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "tool_choice": '
        '"required", "tools": [{"type": "function", "function": {"name": "f", "parameters": '
        f'{{"type": "object", "required": ["a"], "properties": {{"a": {schema}}}}}}}}}]}}'
    )
    answer = copilot.http.post("/chat/completions", content=body, headers=copilot.headers)
    assert "invalid request body" == refused(answer)


@pytest.mark.parametrize("name", ["service_tier", "store"])
@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4.5", "gemini-2.5-pro"])
def test_service_tier_and_store_are_refused(copilot, name, model):
    """No model accepts these fields, and the error names them."""
    answer = copilot.chat(model=model, **{name: "auto" if name == "service_tier" else True})
    assert f"{name} is not supported" == refused(answer, "unsupported_value")
    assert name == answer.json()["error"]["param"]


@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-5.1", "gpt-5.2"])
def test_gpt5_refuses_max_tokens(copilot, model):
    """The error names the parameter to use instead."""
    assert (
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead."
    ) == refused(copilot.chat(model=model, max_tokens=50))
    assert 200 == copilot.chat(model=model, max_completion_tokens=50).status_code


@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_gpt5_accepts_only_the_default_temperature(copilot, name):
    """Only temperature 1 is accepted."""
    assert "Only the default (1)" in refused(copilot.chat(model="gpt-5-mini", **{name: 0.5}))
    assert 200 == copilot.chat(model="gpt-5-mini", **{name: 1}).status_code


def test_unsupported_efforts_are_refused(copilot):
    """The error lists the efforts that the model supports."""
    assert (
        'reasoning_effort "xhigh" is not supported by model gpt-5-mini; '
        "supported values: [low medium high]"
    ) == refused(
        copilot.chat(model="gpt-5-mini", reasoning_effort="xhigh"), "invalid_reasoning_effort"
    )
    assert "supported values: []" in refused(
        copilot.chat(reasoning_effort="low"), "invalid_reasoning_effort"
    )
    assert 200 == copilot.chat(model="gpt-5-mini", reasoning_effort="low").status_code


@pytest.mark.parametrize(
    ("model", "fields", "words"),
    [
        ("claude-sonnet-4.5", {"temperature": 0.5, "top_p": 0.5}, "cannot both be specified"),
        ("claude-opus-4.7", {"temperature": 0.5}, "`temperature` is deprecated"),
        ("claude-sonnet-4.5", {"temperature": 1.5}, "range: 0..1"),
        ("claude-sonnet-4.5", {"n": 2}, "n > 1"),
        ("gemini-2.5-pro", {"n": 2}, "n > 1"),
        ("claude-sonnet-4.5", {"unknown": 1}, "unknown: Extra inputs are not permitted"),
        ("claude-sonnet-4.5", {"max_tokens": 16001}, "max_tokens: 16001 > 16000"),
        (
            "claude-sonnet-4.6",
            {"messages": [USER, {"role": "assistant", "content": "Well,"}]},
            "prefill",
        ),
        (
            "claude-sonnet-4",
            {"messages": [USER, {"role": "assistant", "content": " "}, USER]},
            "must be non-empty",
        ),
        (
            "claude-sonnet-4",
            {
                "messages": [
                    USER,
                    {"role": "assistant", "content": [{"type": "text", "text": ""}]},
                    USER,
                ]
            },
            "must be non-empty",
        ),
        ("claude-sonnet-4", {"messages": [{"role": "user", "content": ""}]}, "must be non-empty"),
        (
            "claude-sonnet-4",
            {"messages": [USER, {"role": "assistant", "content": "Well, "}]},
            "trailing whitespace",
        ),
        (
            "claude-sonnet-4",
            {"thinking_budget": 2000, "tools": [tool()], "tool_choice": "required"},
            "Thinking may not be enabled",
        ),
        (
            "claude-sonnet-4.5",
            {"messages": [{"role": "developer", "content": "Hi"}, USER]},
            "unknown role: developer",
        ),
        ("gpt-4", {"parallel_tool_calls": True}, "parallel_tool_calls is not supported"),
        ("mai-code-1", {"stream": True}, "streaming is not supported"),
        ("acme/llama-4-scout", {"tools": [tool()]}, "tools are not supported"),
    ],
)
def test_rules_of_the_vendors(copilot, model, fields, words):
    """Each vendor refuses different requests."""
    assert words in refused(copilot.chat(model=model, **fields))


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("claude-sonnet-4", {"temperature": 0.5, "top_p": 0.5}),
        ("claude-sonnet-4.5", {"top_p": 0.5}),
        ("claude-sonnet-4.5", {"max_tokens": 32000, "stream": True}),
        ("claude-sonnet-4.5", {"messages": [USER, {"role": "assistant", "content": "Well,"}]}),
        ("claude-sonnet-4.5", {"thinking_budget": 2000, "tools": [tool()], "tool_choice": "auto"}),
        ("claude-opus-4.7", {"reasoning_effort": "max"}),
        ("gemini-2.5-pro", {"temperature": 2, "max_tokens": 100}),
        ("mai-code-1", {}),
    ],
)
def test_requests_that_vendors_accept(copilot, model, fields):
    """Requests that are valid for the vendor are accepted."""
    assert 200 == copilot.chat(model=model, **fields).status_code


@pytest.mark.parametrize(
    ("messages", "number"),
    [
        ([USER, ASKS], 1),
        ([USER, ASKS, USER], 1),
        ([USER, RESULT], 1),
        ([USER, ASKS, RESULT, RESULT], 3),
        ([USER, ASKS, RESULT | {"tool_call_id": "call_2"}], 2),
    ],
)
@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4.5"])
def test_calls_and_results_must_match(copilot, messages, number, model):
    """Calls without results and results without calls are refused."""
    words = refused(copilot.chat(model=model, messages=messages))
    assert words.startswith(f"messages.{number}: {UNMATCHED}")


def test_gemini_requires_its_signature(copilot):
    """Gemini 3 requires the signature of a tool call; 2.5 does not."""
    turn = [USER, ASKS, RESULT]
    words = refused(copilot.chat(model="gemini-3.5-flash", messages=turn))
    assert "thought_signature" in words
    signed = [USER, ASKS | {"reasoning_opaque": "abc"}, RESULT]
    assert 200 == copilot.chat(model="gemini-3.5-flash", messages=signed).status_code
    assert 200 == copilot.chat(model="gemini-3.5-flash", messages=[*turn, USER]).status_code
    assert 200 == copilot.chat(model="gemini-2.5-pro", messages=turn).status_code


def test_gemini_refuses_consecutive_assistant_messages(copilot):
    """Two assistant messages in a row are refused."""
    said = {"role": "assistant", "content": "Well."}
    messages = [USER, said, said, USER]
    assert "consecutive" in refused(copilot.chat(model="gemini-3.5-flash", messages=messages))


def test_images_need_the_vision_header(copilot):
    """An image without the header is refused with the documented message."""
    answer = look(copilot, picture(), vision=None)
    assert {
        "error": {
            "message": "missing required Copilot-Vision-Request header for vision requests",
            "code": "",
        }
    } == answer.json()
    assert 200 == look(copilot, picture()).status_code


def test_an_image_of_an_earlier_turn_needs_the_header(copilot):
    """An image in an earlier turn also requires the header."""
    shown = {"role": "user", "content": [picture()]}
    messages = [shown, {"role": "assistant", "content": "A cat."}, USER]
    assert 400 == copilot.chat(messages=messages).status_code


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}, "external"),
        ({"type": "image_url", "image_url": "https://example.com/cat.png"}, "external"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,abc"}}, "invalid image data"),
        (picture(data="@@@"), "invalid image data"),
        (picture(data="\xe9"), "invalid image data"),
        (picture(size=3145729), "image size of 3145729 bytes exceeds the limit of 3145728"),
    ],
)
def test_invalid_images_are_refused(copilot, part, words):
    """Images must be base64 data URLs of limited size."""
    assert words in refused(look(copilot, part))


def test_unsupported_image_types_are_refused(copilot):
    """Only the model's media types are accepted, and documents never are."""
    assert "image media type not supported" == refused(look(copilot, picture("image/bmp")), "")
    document = look(copilot, picture("application/pdf"), model="claude-opus-4.7")
    assert "image media type not supported" == refused(document, "")
    assert 200 == look(copilot, picture("image/heic"), model="gemini-2.5-pro").status_code


def test_the_number_of_images_is_limited(copilot):
    """Gemini accepts at most ten images, whatever the model list says; others accept more."""
    many = [picture()] * 11
    assert "image count of 11 exceeds the limit of 10" == refused(
        look(copilot, *many, model="gemini-2.5-pro")
    )
    assert 200 == look(copilot, *many).status_code
    assert 200 == look(copilot, *many, *many, model="claude-sonnet-4.5").status_code


def test_models_without_vision_refuse_images(copilot):
    """A model without vision refuses images."""
    answer = look(copilot, picture(), model="gpt-4o-mini")
    assert "does not support image input" in refused(answer)


def test_long_prompts_are_refused(copilot):
    """The limit is max_prompt_tokens, and the error contains both count and limit."""
    words = refused(copilot.chat("x" * 4 * 64000), "model_max_prompt_tokens_exceeded")
    assert "prompt token count of 64007 exceeds the limit of 64000" == words
    assert 200 == copilot.chat("x" * 4 * 63000).status_code


def nonsense(value):
    """Yield copies of a JSON value, each with one part replaced by an arbitrary value."""
    yield from (None, -1, "x", [], [1], {}, {"type": "x"})
    keys = value if isinstance(value, dict) else range(len(value) if type(value) is list else 0)
    for key in keys:
        for changed in nonsense(value[key]):
            yield (
                {**value, key: changed}
                if isinstance(value, dict)
                else [
                    *value[:key],
                    changed,
                    *value[key + 1 :],
                ]
            )


def test_arbitrary_values_do_not_crash_it(copilot, simulator):
    """Whichever part is replaced, the result is an answer or a refusal."""
    format_ = {"type": "json_schema", "json_schema": {"schema": {"type": "integer", "minimum": 1}}}
    body = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, ASKS, RESULT],
        "tools": [tool()],
        "tool_choice": "auto",
        "stop": ["x"],
        "response_format": format_,
        "n": 1,
    }
    for changed in nonsense(body):
        if isinstance(changed, dict):
            changed = {"model": "gpt-4o", **changed}
        answer = copilot.post("/chat/completions", changed)
        assert answer.status_code in (200, 400), changed
