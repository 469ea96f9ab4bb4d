"""The switchable quirks of chat completions."""

import pytest

from tests.simulator.chunks import ASK, MODELS, calls_of, finishes, text_of


@pytest.fixture
def quirk(simulator):
    """Switch one quirk on for the next request."""

    def switch(name, value=None):
        simulator.state.faults.on(name, times=1, value=value)

    return switch


@pytest.mark.parametrize(
    ("name", "indices"),
    [
        ("calls_all_zero", [0, 0]),
        ("calls_from_one", [1, 2]),
        ("calls_without_index", [None, None]),
    ],
)
@pytest.mark.parametrize("model", MODELS.values())
def test_calls_can_be_numbered_wrongly(copilot, quirk, weather_tool, name, indices, model):
    """All indexes may be zero, start at one, or be missing; ids distinguish the calls."""
    quirk(name)
    fragments = calls_of(copilot.chunks(ASK, model, tools=[weather_tool]))
    assert indices == [one.get("index") for one in fragments if "id" in one]


@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4.5"])
def test_calls_can_be_complete_or_in_other_choices(copilot, quirk, weather_tool, model):
    """A call may be complete in one delta, or in a second choice."""
    quirk("whole_calls")
    fragments = calls_of(copilot.chunks(ASK, model, tools=[weather_tool]))
    assert ['{"city":"Paris"}', '{"city":"London"}'] == [
        one["function"]["arguments"] for one in fragments
    ]
    quirk("calls_split_choices")
    chunks = copilot.chunks(ASK, model, tools=[weather_tool])
    places = {
        choice["index"]
        for chunk in chunks[:-1]
        for choice in chunk["choices"]
        if choice["delta"].get("tool_calls")
    }
    assert {1} == places


@pytest.mark.parametrize("model", MODELS.values())
@pytest.mark.parametrize(
    ("name", "finish"),
    [
        ("stop_despite_calls", "stop"),
        ("finish_error", "error"),
        ("finish_length", "length"),
        ("content_filter", "content_filter"),
    ],
)
def test_finishes_can_be_wrong(copilot, quirk, weather_tool, model, name, finish):
    """Any finish reason can be switched on, for whole and streamed answers."""
    quirk(name)
    assert [finish] == finishes(copilot.chunks(ASK, model, tools=[weather_tool]))
    quirk(name)
    body = copilot.chat("Hi", model).json()
    expected = "stop" if name == "stop_despite_calls" else finish
    assert expected == body["choices"][0]["finish_reason"]


def test_filtered_answers_have_a_category(copilot, quirk):
    """With content_filter, the filter results name the category."""
    quirk("content_filter")
    chunks = copilot.chunks()
    found = chunks[0]["prompt_filter_results"][0]["content_filter_results"]
    assert found["violence"]["filtered"]


def test_arguments_can_be_invalid(copilot, quirk, weather_tool):
    """Arguments may be cut off or endless."""
    quirk("broken_arguments")
    spoiled = calls_of(copilot.chunks(ASK, tools=[weather_tool]))
    assert '{"location": "Par' == "".join(
        one["function"]["arguments"] for one in spoiled if one["index"] == 0
    )
    quirk("runaway_arguments", 50)
    endless = calls_of(copilot.chunks(ASK, tools=[weather_tool]))
    assert any("\n\t\r" * 2 in one["function"]["arguments"] for one in endless)


def test_a_tool_without_arguments(copilot):
    """If a tool has no properties, the arguments are an empty string."""
    tool = {
        "type": "function",
        "function": {"name": "list_files", "parameters": {"type": "object"}},
    }
    for model in MODELS.values():
        fragments = calls_of(copilot.chunks("list files", model, tools=[tool]))
        assert {""} == {one["function"].get("arguments", "") for one in fragments}


def test_claude_can_answer_in_its_native_format(copilot, quirk, weather_tool):
    """The newest Claude may send a whole answer in its native format, without choices."""
    quirk("native_claude_body")
    body = copilot.chat(ASK, "claude-opus-4.7", tools=[weather_tool]).json()
    assert "choices" not in body
    assert ("message", "tool_use") == (body["type"], body["stop_reason"])
    quirk("native_claude_body")
    assert "choices" in copilot.chat().json()


def test_reasoning_summaries_of_azure_come_late(copilot, quirk):
    """`cot_summary` comes first; `cot_id` comes after the finish."""
    quirk("cot_id")
    chunks = copilot.chunks(model="gpt-5-mini")
    assert "cot_id" in chunks[-2]["choices"][0]["delta"]
    assert any("cot_summary" in chunk["choices"][0]["delta"] for chunk in chunks[1:-1])


def test_claude_may_use_other_names_for_its_reasoning(copilot, quirk):
    """Claude may send thinking and signature instead of reasoning_text and reasoning_opaque."""
    quirk("thinking_fields")
    chunks = copilot.chunks(model="claude-sonnet-4.6", reasoning_effort="low")
    keys = {key for chunk in chunks[:-1] for key in chunk["choices"][0]["delta"]}
    assert {"thinking", "signature"} <= keys


@pytest.mark.parametrize("model", MODELS.values())
def test_chunks_can_have_unusual_fields(copilot, quirk, model, simulator):
    """Chunks may have annotations, null choices, changing ids, display names and no text."""
    quirk("annotations")
    quirk("references")
    quirk("changing_ids")
    quirk("other_model_name")
    quirk("wordless")
    chunks = [chunk for chunk in copilot.chunks(model=model)[:-1] if chunk["choices"] != []]
    empty = [chunk for chunk in chunks if not chunk["choices"]]
    assert [None] * 3 == [chunk["choices"] for chunk in empty]
    names = ("copilot_references", "copilot_confirmation", "copilot_errors")
    assert all(name in chunk for name, chunk in zip(names, empty, strict=True))
    assert any("copilot_annotations" in str(chunk) for chunk in chunks)
    assert len(chunks) == len({chunk["id"] for chunk in chunks})
    assert {simulator.state.model(model)["name"]} == {chunk["model"] for chunk in chunks}
    assert "" == text_of(chunks)


def test_usage_can_be_missing(copilot, quirk):
    """Usage can be missing from whole and streamed answers."""
    quirk("usage_nowhere")
    assert "usage" not in copilot.chat().json()
    quirk("usage_nowhere")
    assert not any("usage" in chunk for chunk in copilot.chunks(model="claude-sonnet-4.5")[:-1])


def test_json_can_be_fenced_and_forced_tools_ignored(copilot, quirk, weather_tool):
    """JSON can be fenced, and a forced tool can be ignored."""
    quirk("fenced_json")
    fenced = copilot.said(response_format={"type": "json_object"})
    assert "```json" in fenced
    quirk("ignored_tool_choice")
    answer = copilot.chat("Hi", tools=[weather_tool], tool_choice="required").json()
    assert "stop" == answer["choices"][0]["finish_reason"]
