"""Custom tools, namespaces, tool search, additional tools and documents in the Responses API."""

import base64
from itertools import product

import pytest

from tests.selection import every_value
from tests.simulator.conftest import WEATHER

pytestmark = pytest.mark.parametrize("simulator", ["2026-11"], indirect=True)

FUNCTION = {"type": "function", "name": "get_weather", "parameters": WEATHER}
LARK = {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch" LF'}
CUSTOM = {"type": "custom", "name": "apply_patch", "format": LARK}
CRM = {
    "type": "namespace", "name": "crm", "description": "Customers.",
    "tools": [{**FUNCTION, "name": "find_customer", "defer_loading": True}],
}  # fmt: skip
SEARCH = {"type": "tool_search"}
CLIENT_SEARCH = {"type": "tool_search", "execution": "client", "description": "Search."}
MORE = {"type": "additional_tools", "role": "developer", "tools": [FUNCTION]}
USER = {"role": "user", "content": "Hi"}
PDF = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.7\n%%EOF").decode()
GPT = ("gpt-5.4-nano", "gpt-5.6-luna", "gpt-6-sol", "gpt-6.1-terra", "gpt-6.2-sol")
OTHERS = ("grok-4.7", "mai-code-2")


def refused(answer):
    assert 400 == answer.status_code, answer.text
    return answer.json()["error"]["message"]


def output(copilot, text, model="gpt-6.1-sol", **fields):
    """Return the output of an answer without its ids, which are always new."""
    answer = copilot.responses(text, model, **fields)
    assert 200 == answer.status_code, answer.text
    items = answer.json()["output"]
    return [{k: v for k, v in item.items() if k != "id"} for item in items]


@every_value
@pytest.mark.parametrize("model", GPT)
@pytest.mark.parametrize("tool", [CUSTOM, CRM, SEARCH, CLIENT_SEARCH])
def test_gpt_accepts_every_kind_of_tool(copilot, model, tool):
    """All GPT models accept custom tools, namespaces and both kinds of search unchanged."""
    assert 200 == copilot.responses("Hi", model, tools=[FUNCTION, tool]).status_code


def test_mai_accepts_custom_tools(copilot):
    """MAI accepts custom tools, such as the CLI's apply_patch."""
    assert 200 == copilot.responses("Hi", "mai-code-2", tools=[FUNCTION, CUSTOM]).status_code


@pytest.mark.parametrize(
    ("model", "tool"),
    [("grok-4.7", CUSTOM), *product(OTHERS, [CRM, SEARCH, CLIENT_SEARCH])],
)
def test_other_vendors_accept_functions_only(copilot, model, tool):
    """Grok and MAI refuse namespaces, searches and deferred functions."""
    words = refused(copilot.responses("Hi", model, tools=[FUNCTION, tool]))
    assert f"The requested tool {tool['type']} is not supported." == words
    deferred = {**FUNCTION, "defer_loading": True}
    assert "tools[0].defer_loading" in refused(copilot.responses("Hi", model, tools=[deferred]))


@pytest.mark.parametrize(
    ("model", "kinds"),
    [("gpt-5.3-codex", ["custom"]), ("gpt-5.4-nano", ["custom", "namespace", "tool_search"])],
)
def test_older_gpt_models_accept_less(copilot, model, kinds):
    """GPT-5.3 accepts custom tools, and 5.4 also accepts namespaces and searches."""
    answers = {
        one["type"]: copilot.responses("Hi", model, tools=[one]) for one in (CUSTOM, CRM, SEARCH)
    }
    assert kinds == [kind for kind, answer in answers.items() if answer.status_code == 200]


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ({**CUSTOM, "format": {"type": "grammar", "syntax": "ebnf", "definition": "x"}}, "syntax"),
        ({**CUSTOM, "format": {"type": "json"}}, "unknown type"),
        ({**CUSTOM, "name": "a b"}, "String should match pattern"),
        ({**CRM, "description": None}, "Missing required parameter: 'tools[0].description'"),
        ({**CRM, "description": ""}, "Invalid 'tools[0].description': empty string."),
        ({**CRM, "tools": []}, "Missing required parameter: 'tools[0].tools'"),
        ({**CRM, "tools": [SEARCH]}, "tools[0].tools[0]: must be a function or custom tool"),
        ({**SEARCH, "execution": "both"}, "execution"),
        ({**SEARCH, "parameters": WEATHER}, "only for a search that the client runs"),
        ({"type": "image_generation"}, "The requested tool image_generation is not supported."),
    ],
)
def test_tools_of_a_wrong_shape_are_refused(copilot, tool, words):
    """The error names the field."""
    assert words in refused(copilot.responses("Hi", "gpt-6.1-sol", tools=[tool]))


@pytest.mark.parametrize("stream", [False, True])
def test_a_custom_tool_is_called(copilot, stream):
    """The call has text as input, which is streamed in deltas and follows the tool's grammar."""
    text = 'Call the apply_patch tool for notes.md with "Hello"'
    expected = "*** Begin Patch\n*** Add File: notes.md\n+Hello\n*** End Patch\n"
    answer = copilot.responses(text, "gpt-6.1-sol", tools=[CUSTOM], stream=stream)
    if not stream:
        item = answer.json()["output"][-1]
        assert ("custom_tool_call", "apply_patch", expected) == (
            item["type"], item["name"], item["input"]
        )  # fmt: skip
        return
    events = [event.data for event in copilot.events(answer.text)]
    kind = "response.custom_tool_call_input"
    assert expected == "".join(e["delta"] for e in events if e["type"] == f"{kind}.delta")
    assert [expected] == [e["input"] for e in events if e["type"] == f"{kind}.done"]
    begun = [e["item"] for e in events if e["type"] == "response.output_item.added"]
    assert ("custom_tool_call", "") == (begun[-1]["type"], begun[-1]["input"])


def test_a_custom_tool_is_answered(copilot):
    """The output reaches the model; outputs without calls and calls without outputs are refused."""
    call = {"type": "custom_tool_call", "call_id": "call_1", "name": "apply_patch", "input": "x"}
    result = {"type": "custom_tool_call_output", "call_id": "call_1", "output": "Done!"}
    answer = output(copilot, [USER, call, result], tools=[CUSTOM])
    assert "apply_patch answered: Done!" in answer[-1]["content"][0]["text"]
    assert "No tool output found" in refused(copilot.responses([USER, call], "gpt-6.1-sol"))
    assert "No tool call found" in refused(copilot.responses([USER, result], "gpt-6.1-sol"))
    assert "unknown kind" in refused(copilot.responses([USER, call, result], "grok-4.7"))


def test_a_custom_tool_can_be_forced(copilot):
    """The choice must name the right kind of tool."""
    choice = {"type": "custom", "name": "apply_patch"}
    items = output(copilot, "Hi", tools=[CUSTOM], tool_choice=choice)
    assert "custom_tool_call" == items[-1]["type"]
    wrong = {"type": "function", "name": "apply_patch"}
    assert (
        400 == copilot.responses("Hi", "gpt-6.1-sol", tools=[CUSTOM], tool_choice=wrong).status_code
    )


def test_a_tool_choice_of_other_vendors_is_refused(copilot):
    """`validated` is for Gemini only."""
    answer = copilot.responses("Hi", "gpt-6.1-sol", tools=[FUNCTION], tool_choice="validated")
    assert "Invalid value: 'validated'" in refused(answer)


def test_a_tool_of_a_namespace_is_called(copilot):
    """The function call names the namespace, and is accepted back with it."""
    tools = [{**CRM, "tools": [{**FUNCTION, "name": "find_customer"}]}]
    item = output(copilot, "Call find_customer for Rome", tools=tools)[-1]
    assert ("function_call", "find_customer", "crm") == (
        item["type"], item["name"], item["namespace"]
    )  # fmt: skip
    result = {"type": "function_call_output", "call_id": item["call_id"], "output": "Anna"}
    turns = [USER, item, result]
    assert "find_customer answered: Anna" in str(output(copilot, turns, tools=tools))
    for model in OTHERS:
        assert "namespace is not supported" in refused(copilot.responses(turns, model))


def test_the_server_searches_for_tools(copilot):
    """A deferred tool is found and called in one answer, and the search may be sent back."""
    tools = [CRM, SEARCH]
    items = output(copilot, "Call find_customer for Rome", tools=tools)
    call, found, use = items[-3:]
    assert ("tool_search_call", "server", None) == (
        call["type"], call["execution"], call["call_id"]
    )  # fmt: skip
    assert ("tool_search_output", [CRM]) == (found["type"], found["tools"])
    assert ("function_call", "crm") == (use["type"], use["namespace"])
    result = {"type": "function_call_output", "call_id": use["call_id"], "output": "Anna"}
    turns = [USER, *items, result]
    assert "find_customer answered: Anna" in str(output(copilot, turns, tools=tools))


def test_the_client_searches_for_tools(copilot):
    """The model requests a search, and calls a tool that the client found."""
    tools = [CRM, CLIENT_SEARCH]
    question = {"role": "user", "content": "Call find_customer for Rome"}
    call = output(copilot, [question], tools=tools)[-1]
    assert ("tool_search_call", "client", {"query": "find_customer"}) == (
        call["type"], call["execution"], call["arguments"]
    )  # fmt: skip
    found = {
        "type": "tool_search_output", "call_id": call["call_id"], "execution": "client",
        "status": "completed", "tools": [CRM],
    }  # fmt: skip
    item = output(copilot, [question, call, found], tools=tools)[-1]
    assert ("function_call", "find_customer") == (item["type"], item["name"])
    words = refused(copilot.responses([question, call], "gpt-6.1-sol", tools=tools))
    assert "No tool output found for tool search call" in words


def test_deferred_tools_are_hidden_without_a_search(copilot):
    """The model cannot call a tool that it has not loaded."""
    assert "message" == output(copilot, "Call find_customer for Rome", tools=[CRM])[-1]["type"]


@pytest.mark.parametrize(
    ("model", "taken"),
    [
        ("gpt-6.1-sol", True), ("gpt-6.1-terra", True), ("gpt-6.2-sol", True),
        ("gpt-6-sol", False), ("gpt-5.6-sol", False), ("grok-4.7", False), ("mai-code-2", False),
    ],
)  # fmt: skip
def test_additional_tools(copilot, model, taken):
    """For GPT-6.1 and later, an input item may add tools that the model can call."""
    turns = [MORE, {"role": "user", "content": "Call get_weather for Rome"}]
    if taken:
        assert "get_weather" == output(copilot, turns, model)[-1]["name"]
        wrong = [{**MORE, "role": "user"}, USER]
        assert "role has to be developer" in refused(copilot.responses(wrong, model))
    else:
        assert "additional_tools" in refused(copilot.responses(turns, model))


@pytest.mark.parametrize("model", [*GPT, *OTHERS])
def test_documents(copilot, model):
    """GPT reads PDFs; other files and other vendors' models are refused."""

    def send(data):
        file = {"type": "input_file", "filename": "a.pdf", "file_data": data}
        turn = {"role": "user", "content": [file, {"type": "input_text", "text": "Hi"}]}
        return copilot.responses([turn], model)

    if model in OTHERS:
        assert "input_file is not supported" in refused(send(PDF))
        return
    assert "I read 1 document." in send(PDF).text
    assert "expected a PDF" in refused(send("data:text/plain;base64,SGk="))
    assert "expected a PDF" in refused(send("data:application/pdf;base64,SGk="))
    assert "base64 data URL" in refused(send("SGk="))


@pytest.mark.parametrize(
    ("model", "taken"), [("gpt-5.6-sol", True), ("gpt-6.2-sol", True), ("gpt-5.3-codex", False)]
)
def test_cache_options(copilot, model, taken):
    """GPT-5.6 and later accept options and breakpoints for the prompt cache."""
    part = {"type": "input_text", "text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit"}}
    turns = [{"role": "user", "content": [part]}]
    answers = [
        copilot.responses("Hi", model, prompt_cache_options={"mode": "explicit"}),
        copilot.responses(turns, model),
    ]
    if taken:
        assert [200, 200] == [answer.status_code for answer in answers]
        wrong = copilot.responses("Hi", model, prompt_cache_options={"mode": "never"})
        assert "prompt_cache_options.mode" in refused(wrong)
        many = copilot.responses([{"role": "user", "content": [part] * 5}], model)
        assert 200 == many.status_code, "only the last ones count"
    else:
        assert all("Unknown parameter: 'prompt_cache_" in refused(answer) for answer in answers)
