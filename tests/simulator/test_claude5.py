"""The rules of Claude 4.7 and later: sampling, thinking, bound history, betas, documents."""

import base64

import pytest

from tests.selection import crossed
from tests.simulator.test_messages import ANSWERS, MARK, TOOL, USER, refused

pytestmark = pytest.mark.parametrize("simulator", ["2026-11"], indirect=True)

MODERN = (
    "claude-opus-4.8", "claude-opus-5", "claude-opus-5.5", "claude-sonnet-5", "claude-sonnet-5.5",
    "claude-haiku-5.5", "claude-fable-5", "claude-fable-5.1", "claude-fable-5.2",
)  # fmt: skip
ALWAYS = ("claude-opus-5.5", "claude-fable-5", "claude-fable-5.1", "claude-fable-5.2")
BOUND = ("claude-opus-5.5", "claude-fable-5.1", "claude-fable-5.2")
BINDING = "thinking-binding-controls-2026-08-01"
ADAPTIVE = {"type": "adaptive"}
DROP = {**ADAPTIVE, "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
PDF = base64.b64encode(b"%PDF-1.7\n%%EOF").decode()


def ask(copilot, model, *betas, **fields):
    body = {"model": model, "messages": [USER], "max_tokens": 4000, **fields}
    return copilot.post("/v1/messages", body, anthropic_beta=",".join(betas) or None)


def tool_round(copilot, model, **fields):
    """Return the messages after a tool call: a question, the call, its result."""
    question = {"role": "user", "content": "Call get_weather for Rome"}
    answer = ask(copilot, model, messages=[question], tools=[TOOL], thinking=ADAPTIVE, **fields)
    content = answer.json()["content"]
    result = {**ANSWERS["content"][0], "tool_use_id": content[-1]["id"]}
    return [question, {"role": "assistant", "content": content}, {**USER, "content": [result]}]


@crossed(fields=[{"temperature": 0.5}, {"top_p": 0.5}, {"top_k": 5}], model=MODERN)
def test_sampling_is_refused(copilot, model, fields):
    """Claude 4.7 and later accept only the default temperature and top_p."""
    assert "is deprecated for this model" in refused(ask(copilot, model, **fields))
    assert 200 == ask(copilot, model, temperature=1).status_code


@pytest.mark.parametrize(
    ("model", "accepted"),
    [
        ("claude-haiku-4.5", ["enabled", "disabled"]),
        ("claude-sonnet-4.6", ["enabled", "adaptive", "disabled"]),
        ("claude-opus-4.8", ["adaptive", "disabled"]),
        ("claude-sonnet-5", ["adaptive", "disabled"]),
        ("claude-haiku-5.5", ["adaptive", "disabled"]),
        *((model, ["adaptive"]) for model in ALWAYS),
    ],
)
def test_classes_of_thinking(copilot, model, accepted):
    """Older models accept a budget, newer models adaptive or disabled, and some only adaptive."""
    forms = {
        "enabled": {"type": "enabled", "budget_tokens": 1024},
        "adaptive": ADAPTIVE,
        "disabled": {"type": "disabled"},
    }
    answers = {kind: ask(copilot, model, thinking=form) for kind, form in forms.items()}
    assert accepted == [kind for kind, answer in answers.items() if answer.status_code == 200]
    assert all("not supported" in refused(a) for k, a in answers.items() if k not in accepted)


@pytest.mark.parametrize(
    ("thinking", "words"),
    [
        ({**ADAPTIVE, "budget_tokens": 2000}, "thinking.adaptive.budget_tokens: Extra inputs"),
        ({**ADAPTIVE, "display": "full"}, "thinking.adaptive.display: Input should be"),
        ({**ADAPTIVE, "display": "updates"}, "thinking.adaptive.display: Input should be"),
        (DROP, "thinking.adaptive.block_binding: Extra inputs are not permitted"),
        ({"type": "disabled", "display": "omitted"}, "thinking.disabled.display: Extra inputs"),
        ({}, "thinking: Input tag"),
    ],
)
def test_fields_of_thinking_are_checked(copilot, thinking, words):
    """Unknown fields and values are refused, as is block_binding without its beta."""
    assert words in refused(ask(copilot, "claude-sonnet-5.5", thinking=thinking))


@pytest.mark.parametrize(
    ("model", "thinking", "words"),
    [
        ("claude-opus-5.5", ADAPTIVE, "Field required"),
        ("claude-sonnet-5", DROP, "block_binding: Extra inputs"),
        ("claude-opus-5.5", {**ADAPTIVE, "block_binding": []}, "valid dictionary"),
        ("claude-opus-5.5", {**ADAPTIVE, "block_binding": {"x": 1}}, "block_binding.x: Extra"),
        (
            "claude-opus-5.5",
            {**ADAPTIVE, "block_binding": {"prefix_mismatch_behavior": "ignore"}},
            "Input should be 'drop_block' or 'error'",
        ),
    ],
)
def test_the_beta_of_binding_needs_its_field(copilot, model, thinking, words):
    """The beta without block_binding is refused, as are unknown behaviors and models."""
    assert words in refused(ask(copilot, model, BINDING, thinking=thinking))


@crossed(stream=[False, True], model=MODERN)
def test_thinking_is_hidden_unless_requested(copilot, model, stream):
    """Thinking blocks have a full signature but no text, unless `summarized` is requested."""
    for display, shown in ((None, False), ("omitted", False), ("summarized", True)):
        thinking = {**ADAPTIVE, **({"display": display} if display else {})}
        answer = ask(copilot, model, thinking=thinking, stream=stream)
        if stream:
            deltas = [e.data["delta"] for e in copilot.events(answer.text) if "delta" in e.data]
            kinds = [delta.get("type") for delta in deltas]
            assert (shown, 1) == ("thinking_delta" in kinds, kinds.count("signature_delta"))
        else:
            block = answer.json()["content"][0]
            assert ("thinking", shown) == (block["type"], bool(block["thinking"]))
            assert len(block["signature"]) > 100


@pytest.mark.parametrize("model", ALWAYS)
def test_thinking_does_not_have_to_be_requested(copilot, model):
    """Models that always think also do so without the field."""
    assert "thinking" == ask(copilot, model).json()["content"][0]["type"]


@pytest.mark.parametrize("model", ["claude-opus-5", *BOUND])
def test_empty_blocks_are_accepted_back(copilot, model):
    """A block without text is valid with its signature, but not without it."""
    turns = tool_round(copilot, model)
    more = {"tools": [TOOL], "thinking": ADAPTIVE}
    assert "" == turns[1]["content"][0]["thinking"]
    assert 200 == ask(copilot, model, messages=turns, **more).status_code
    turns[1]["content"][0]["signature"] = "x"
    assert "Invalid signature" in refused(ask(copilot, model, messages=turns, **more))


@pytest.mark.parametrize("model", BOUND)
def test_text_between_tool_calls_is_thinking(copilot, model):
    """Text before a call becomes a second thinking block on these models."""
    kinds = [block["type"] for block in tool_round(copilot, model)[1]["content"]]
    assert ["thinking", "thinking", "tool_use"] == kinds
    kinds = [block["type"] for block in tool_round(copilot, "claude-opus-5")[1]["content"]]
    assert ["thinking", "text", "tool_use"] == kinds


EDITS = {
    "system": lambda body: body.update(system="Be brief."),
    "tools": lambda body: body.update(tools=[{**TOOL, "description": "New"}]),
    "messages": lambda body: body["messages"][0].update(content="Call get_weather for Oslo"),
}


@pytest.mark.parametrize("model", BOUND)
@pytest.mark.parametrize("edit", EDITS)
def test_history_is_bound(copilot, model, edit):
    """After an edit, blocks are refused, or dropped and listed if the request allows that."""
    body = {"messages": tool_round(copilot, model), "tools": [TOOL], "thinking": ADAPTIVE}
    assert 200 == ask(copilot, model, **body).status_code
    EDITS[edit](body)

    words = "Invalid signature in thinking block. The block is bound to a different conversation"
    assert words in refused(ask(copilot, model, **body))

    body["thinking"] = DROP
    answer = ask(copilot, model, BINDING, **body).json()
    reason = "prefix_binding_mismatch"
    assert [("thinking_dropped", f"messages.1.content.{n}", reason) for n in (0, 1)] == [
        (one["type"], one["path"], one["reason"]) for one in answer["input_transformations"]
    ]
    events = copilot.events(ask(copilot, model, BINDING, stream=True, **body).text)
    assert 2 == len(events[0].data["message"]["input_transformations"])


@pytest.mark.parametrize("model", BOUND)
def test_unchanged_history_is_whole(copilot, model):
    """Cache breakpoints and text blocks in place of strings are not edits; nothing is dropped."""
    turns = tool_round(copilot, model)
    turns[0]["content"] = [{"type": "text", "text": turns[0]["content"], "cache_control": MARK}]
    turns[2]["content"].append({"type": "text", "text": "Go on."})
    more = {"messages": turns, "tools": [TOOL], "thinking": DROP}
    assert [] == ask(copilot, model, BINDING, **more).json()["input_transformations"]


def test_older_models_do_not_bind(copilot):
    """Up to Opus 5 and Fable 5, models accept an edited conversation."""
    for model in ("claude-opus-5", "claude-fable-5", "claude-sonnet-5.5"):
        turns = tool_round(copilot, model)
        more = {"messages": turns, "tools": [TOOL], "system": "New", "thinking": ADAPTIVE}
        assert 200 == ask(copilot, model, **more).status_code


@pytest.mark.parametrize("model", ALWAYS)
@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": TOOL["name"]}])
def test_tools_cannot_be_forced(copilot, model, choice):
    """If thinking cannot be disabled, `any` and `tool` are refused; `auto` and `none` are not."""
    assert "forces tool use" in refused(ask(copilot, model, tools=[TOOL], tool_choice=choice))
    for kind in ("auto", "none"):
        answer = ask(copilot, model, tools=[TOOL], tool_choice={"type": kind})
        assert 200 == answer.status_code


def test_betas_of_official_clients_pass(copilot):
    """Each beta name is accepted individually."""
    for name in (
        "structured-outputs-2025-11-13", "extended-cache-ttl-2025-04-11",
        "fallback-credit-2026-07-01", "mid-conversation-output-config-2026-07-01",
        "inline-tools-2026-09-15", "mid-conversation-tool-changes-2026-07-01",
        "advisor-tool-2026-03-01", "thinking-display-updates-2026-08-18",
    ):  # fmt: skip
        assert 200 == ask(copilot, "claude-sonnet-5.5", name).status_code


def test_a_cache_lives_for_an_hour_with_its_beta(copilot):
    """`ttl` requires the beta and is 5m or 1h; `scope` is always refused."""

    def mark(**fields):
        block = {"type": "text", "text": "x", "cache_control": {**MARK, **fields}}
        return ask(copilot, "claude-sonnet-5.5", "extended-cache-ttl-2025-04-11", system=[block])

    assert 200 == mark(ttl="1h").status_code
    assert "ephemeral.ttl: Input should be" in refused(mark(ttl="2h"))
    assert "ephemeral.scope: Extra inputs" in refused(mark(scope="global"))


def test_eager_input_streaming(copilot):
    """Only Haiku 4.5 lacks the field; `strict` is accepted everywhere."""
    tool = {**TOOL, "eager_input_streaming": True, "strict": True}
    assert 200 == ask(copilot, "claude-sonnet-5.5", tools=[tool]).status_code
    assert "Extra inputs" in refused(ask(copilot, "claude-haiku-4.5", tools=[tool]))


def test_a_tool_choice_of_other_vendors_is_refused(copilot):
    """`validated` is for Gemini only."""
    answer = ask(copilot, "claude-sonnet-5.5", tools=[TOOL], tool_choice={"type": "validated"})
    assert "tool_choice: Input tag" in refused(answer)


def test_updates_are_displayed_with_their_beta(copilot):
    """`updates` is refused without the beta, and accepted with it."""
    thinking = {**ADAPTIVE, "display": "updates"}
    beta = "thinking-display-updates-2026-08-18"
    assert 200 == ask(copilot, "claude-sonnet-5.5", beta, thinking=thinking).status_code


def test_unknown_output_config_is_refused(copilot):
    """Only effort and format are accepted."""
    answer = ask(copilot, "claude-sonnet-5.5", output_config={"task_budget": 5})
    assert "output_config.task_budget: Extra inputs" in refused(answer)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"type": "base64", "media_type": "application/pdf", "data": PDF}, ""),
        ({"type": "text", "media_type": "text/plain", "data": "Hi"}, ""),
        ({"type": "base64", "media_type": "text/html", "data": PDF}, "media_type"),
        ({"type": "base64", "media_type": "application/pdf", "data": "AAAA"}, "was not valid"),
        ({"type": "base64", "media_type": "application/pdf", "data": "?"}, "was not valid"),
        ({"type": "url", "url": "https://example.com/a.pdf"}, "only base64 and text"),
        ({"type": "text"}, "text.data: Field required"),
        (None, "document.source: Field required"),
    ],
)
def test_documents(copilot, source, words):
    """A valid PDF is read; URLs and other types are refused."""
    block = {"type": "document", **({"source": source} if source else {})}
    turn = {"role": "user", "content": [block, {"type": "text", "text": "Hi"}]}
    answer = ask(copilot, "claude-sonnet-5.5", messages=[turn])
    if words:
        assert words in refused(answer)
    else:
        assert "I read 1 document." in answer.json()["content"][-1]["text"]
