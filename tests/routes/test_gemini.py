"""Google's Gemini API: paths, keys, streams, errors, translated and refused fields."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from tests.conftest import Proxy, settings_at
from tests.grammars import fold_contents, gemini_events
from tests.matrix_clients import PNG

KEY: Final = "gemini-key-0123456789"
HI: Final[Json] = {"contents": [{"parts": [{"text": "Ahoy"}]}]}
GENERATE: Final = "/v1beta/models/gpt-4o:generateContent"
STREAM: Final = "/v1beta/models/gpt-4o:streamGenerateContent"
FUNCTION: Final[Json] = {
    "name": "get_weather",
    "parameters": {
        "type": "OBJECT",
        "properties": {"city": {"type": "STRING"}, "type": {"type": "NUMBER", "nullable": True}},
        "propertyOrdering": ["city"],
        "required": ["city"],
    },
}


@pytest.fixture
def http(proxy: Proxy) -> Iterator[httpx.Client]:
    with proxy.client() as http:
        yield http


def said(answer: httpx.Response) -> str:
    assert 200 == answer.status_code, answer.text
    return str(answer.json()["candidates"][0]["content"]["parts"][0]["text"])


def reason(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["details"][0]["reason"])


def sent(simulator: Simulator) -> Json:
    """Return the last body that reached Copilot."""
    body: Json = simulator.state.requests[-1].body
    return body


@pytest.mark.parametrize(
    "path",
    [
        GENERATE,
        "/v1/models/gpt-4o:generateContent",
        "/v1alpha/models/gpt-4o:generateContent",
        "/models/gpt-4o:generateContent",
        "/v1/v1beta/models/gpt-4o:generateContent/",
        "//v1beta/v1beta//models/gpt-4o:generateContent",
        "/v1beta/models/models/gpt-4o:generateContent",
        "/c/cron/p/reports/v1beta/models/gpt-4o:generateContent",
    ],
)
def test_paths(http: httpx.Client, proxy: Proxy, path: str) -> None:
    """The API works under all of its versions, however clients join the base URL and the path."""
    assert "You said: Ahoy" in said(http.post(path, json=HI))

    sender = proxy.wait_for_record().attribution
    assert ("cron" in path, "reports" in path) == (
        sender.client == "cron",
        sender.project == "reports",
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("POST", "/v1beta/models/gpt-4o:sing", 404, "UNKNOWN_URL"),
        ("POST", "/v1beta/models/gpt-4o", 404, "UNKNOWN_URL"),
        ("POST", "/v1beta/models/:generateContent", 404, "UNKNOWN_URL"),
        ("GET", "/v1beta/nothing", 404, "UNKNOWN_URL"),
        ("GET", "/v1beta/models/nope", 404, "MODEL_NOT_FOUND"),
        ("POST", "/v1beta/models/nope:generateContent", 404, "MODEL_NOT_FOUND"),
        ("POST", "/v1beta/models/text-embedding-3-small:generateContent", 400, None),
        ("PUT", GENERATE, 405, "METHOD_NOT_SUPPORTED"),
        ("GET", GENERATE, 405, "METHOD_NOT_SUPPORTED"),
    ],
)
def test_errors(
    http: httpx.Client, method: str, path: str, status: int, expected: str | None
) -> None:
    """Errors have Google's format, with a hint in the message."""
    answer = http.request(method, path, json=HI)

    error = answer.json()["error"]
    assert (status, status) == (answer.status_code, error["code"])
    assert expected in (None, reason(answer))
    info = error["details"][0]
    assert info["metadata"]["hint"] in error["message"]
    assert answer.headers["x-request-id"] == error["details"][-1]["requestId"]


@pytest.mark.parametrize(
    ("fault", "model"),
    [("prompt_too_long", "gpt-4o"), ("prompt_too_long_anthropic", "claude-sonnet-4.6")],
)
def test_a_prompt_that_is_too_long(
    http: httpx.Client, simulator: Simulator, fault: str, model: str
) -> None:
    """Whoever refuses the prompt, the message is worded as Google words it."""
    simulator.state.faults.on(fault, times=1)
    answer = http.post(f"/v1beta/models/{model}:generateContent", json=HI)

    assert (400, "CONTEXT_LENGTH_EXCEEDED") == (answer.status_code, reason(answer))
    message = answer.json()["error"]["message"]
    numbers = re.sub(r"\d+", "N", message.partition(".")[0])
    assert "The input token count (N) exceeds the maximum number of tokens allowed (N)" == numbers


def test_lists_of_models(http: httpx.Client) -> None:
    """`/v1beta/models` is Google's list, and `/v1/models` is OpenAI's.

    `/v1/models` is also Google's if the request has Google's header or parameter for the key.
    """
    openai = http.get("/v1/models").json()
    google = http.get("/v1beta/models").json()

    names = [model["name"] for model in google["models"]]
    assert "list" == openai["object"]
    assert {f"models/{model['id']}" for model in openai["data"]} == set(names)
    by_name = {model["name"]: model for model in google["models"]}
    assert ["embedContent"] == by_name["models/text-embedding-3-small"][
        "supportedGenerationMethods"
    ]
    assert by_name["models/gpt-4o"]["inputTokenLimit"] > 1000
    assert google == http.get("/v1/models", headers={"x-goog-api-key": "x"}).json()
    assert google == http.get("/v1/models?pageSize=50&key=x").json()
    assert by_name["models/gpt-4o"] == http.get("/v1beta/models/gpt-4o").json()
    assert "models/claude-sonnet" == http.get("/v1beta/models/claude-sonnet").json()["name"]


def test_a_stream_as_an_array(http: httpx.Client) -> None:
    """Without `alt=sse`, the events are elements of one array."""
    array = http.post(STREAM, json=HI)
    events = http.post(f"{STREAM}?alt=sse", json=HI)

    assert "application/json" == array.headers["content-type"]
    parts = fold_contents(array.json())["candidates"][0]["content"]
    assert fold_contents(gemini_events(events.text))["candidates"][0]["content"] == parts
    assert "STOP" == array.json()[-1]["candidates"][0]["finishReason"]


@pytest.mark.parametrize("query", ["", "?alt=sse"])
def test_silence_and_a_late_error(simulator: Simulator, query: str) -> None:
    """A silent stream is kept open with empty lines, which all clients ignore.

    A late error is sent as the last event of the stream.
    """
    simulator.state.faults.on("stall_mid_stream", value=0.5)
    simulator.state.faults.on("cut_mid_stream")
    settings = settings_at(simulator, header_grace=0.01, keep_alive=0.02)
    with Proxy(settings) as proxy, proxy.client() as http:
        text = http.post(STREAM + query, json=HI).text

    assert "\n\n\n" in text, "there are empty lines"
    events = gemini_events(text) if query else json.loads(text)
    assert "UPSTREAM_BROKEN" == events[-1]["error"]["details"][0]["reason"]
    assert ["error"] == list(events[-1]), "SDKs look for an error at the start of an event"


@pytest.mark.parametrize("query", ["", "?alt=sse"])
def test_an_error_before_the_answer(simulator: Simulator, query: str) -> None:
    """If the headers have already been sent, the error is the only event."""
    simulator.state.faults.on("stall_before_headers")
    settings = settings_at(simulator, header_grace=0.01, keep_alive=0.05, read_timeout=1)
    with Proxy(settings) as proxy, proxy.client() as http:
        answer = http.post(STREAM + query, json=HI)

    assert 200 == answer.status_code
    (event,) = gemini_events(answer.text) if query else answer.json()
    assert 504 == event["error"]["code"]


def test_a_client_that_disconnects(simulator: Simulator) -> None:
    """The call to Copilot ends immediately, and the record says why."""
    simulator.state.pace = 0.01
    body = {"contents": "Write 2000 words"}
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as http:
        with http.stream("POST", f"{STREAM}?alt=sse", json=body) as answer:
            next(answer.iter_lines())
        record = proxy.wait_for_record()

    assert record.client_gone
    assert ("gemini", True) == (record.api, record.stream)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"x-goog-api-key": KEY}, ""),
        ({"authorization": f"Bearer {KEY}"}, ""),
        ({}, f"?key={KEY}"),
        ({}, f"?alt=json&key=wrong&key={KEY}"),
    ],
)
def test_keys(simulator: Simulator, headers: dict[str, str], query: str) -> None:
    """The key may be in Google's header or parameter; a wrong key is refused in Google's format."""
    settings = settings_at(simulator, api_keys={"laptop": {"key": KEY, "models": ["gpt-4o"]}})
    with Proxy(settings) as proxy, proxy.client() as http:
        assert "Ahoy" in said(http.post(GENERATE + query, json=HI, headers=headers))
        assert "laptop" == proxy.wait_for_record().key
        other = http.post(
            f"/v1beta/models/gpt-5.5:generateContent{query}", json=HI, headers=headers
        )
        assert (403, "MODEL_NOT_ALLOWED") == (other.status_code, reason(other))
        for wrong in ("", "?key=wrong", "?key="):
            refused = http.post(GENERATE + wrong, json=HI)
            assert (401, "INVALID_API_KEY") == (refused.status_code, reason(refused))
            assert "x-goog-api-key" in refused.json()["error"]["message"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_key_in_the_url_is_never_written(
    simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """The key is not in the log, the dumps, an answer or /health, and neither is a wrong key."""
    wrong = "wr0ng-secret-4711"
    folder = tmp_path / "dumps"
    settings = settings_at(simulator, api_key=KEY, dump_dir=folder)
    seen: list[str] = []
    with logging_to_stderr(form, Reporter()), Proxy(settings) as proxy, proxy.client() as http:
        for key in (KEY, wrong):
            for path in (GENERATE, STREAM, "/v1beta/nothing:x", "/v1beta/models/nope:countTokens"):
                answer = http.post(f"{path}?key={key}", json=HI)
                seen += [answer.text, str(answer.headers)]
            seen += [http.get(f"{path}?key={key}").text for path in ("/v1/models", "/health")]
    seen += [file.read_text() for file in folder.iterdir()]
    seen += capsys.readouterr()

    assert len(seen) > 20
    assert not [text for text in seen if KEY in text or wrong in text]


def test_a_github_token_as_the_key(simulator: Simulator) -> None:
    """Without API keys, a GitHub token in Google's header is the caller's own sign-in."""
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as http:
        http.post(GENERATE, json=HI, headers={"x-goog-api-key": SIMULATED_TOKEN})
        http.post(GENERATE, json=HI, headers={"x-goog-api-key": "unused"})

    assert [True, False] == [record.own_sign_in for record in proxy.records]


def test_functions(http: httpx.Client, simulator: Simulator) -> None:
    """Google's schemas become JSON schemas; calls and results are matched by name."""
    user = {"role": "user", "parts": [{"text": "What is the weather in Paris and London?"}]}
    tools = [{"function_declarations": [FUNCTION]}]
    answer = http.post(GENERATE, json={"contents": user, "tools": tools}).json()
    (tool,) = sent(simulator)["tools"]
    assert {
        "type": "object",
        "properties": {"city": {"type": "string"}, "type": {"type": ["number", "null"]}},
        "required": ["city"],
    } == tool["function"]["parameters"]

    model = answer["candidates"][0]["content"]
    calls = [part["functionCall"] for part in model["parts"] if "functionCall" in part]
    assert [{"city": "Paris"}, {"city": "London"}] == [call["args"] for call in calls]
    for call in calls:
        del call["id"]
    outputs = [{"output": "12 degrees"}, {"error": "no such city"}]
    results = {
        "role": "function",
        "parts": [
            {"function_response": {"name": "get_weather", "response": one}} for one in outputs
        ],
    }
    final = http.post(GENERATE, json={"contents": [user, model, results], "tools": tools})

    assert "12 degrees" in said(final)
    *_, called, first, second = sent(simulator)["messages"]
    ids = [call["id"] for call in called["tool_calls"]]
    assert ids == [first["tool_call_id"], second["tool_call_id"]]
    assert ("12 degrees", "The function failed: no such city") == (
        first["content"],
        second["content"],
    )
    assert "agent" == simulator.state.requests[-1].initiator


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, None),
        ({"mode": "AUTO"}, "auto"),
        ({"mode": "ANY"}, "required"),
        ({"mode": "none"}, "none"),
        (
            {"mode": "ANY", "allowedFunctionNames": ["get_weather"]},
            {"type": "function", "function": {"name": "get_weather"}},
        ),
    ],
)
def test_the_choice_of_functions(
    http: httpx.Client, simulator: Simulator, config: Json, expected: Any
) -> None:
    """Google's modes become the tool choice."""
    body = {
        **HI,
        "tools": [{"functionDeclarations": FUNCTION}],
        "toolConfig": {"functionCallingConfig": config},
    }

    assert 200 == http.post(GENERATE, json=body).status_code
    assert expected == sent(simulator).get("tool_choice")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
        ({"tools": [{"code_execution": {}}]}, "tools[0].codeExecution"),
        (
            {"tools": [{"functionDeclarations": [FUNCTION]}, {"urlContext": {}}]},
            "tools[1].urlContext",
        ),
        ({"tools": [{"somethingNew": {}}]}, "tools[0].somethingNew"),
        ({"cachedContent": "cachedContents/x"}, "cachedContent"),
        (
            {"contents": [{"parts": [{"fileData": {"fileUri": "https://x/y.png"}}]}]},
            "contents[0].parts[0].fileData",
        ),
        (
            {"contents": {"parts": {"inline_data": {"mime_type": "audio/wav", "data": "AAAA"}}}},
            "contents[0].parts[0].inlineData",
        ),
        ({"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
        ({"generationConfig": {"responseModalities": ["IMAGE"]}}, None),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, None),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "HUGE"}}}, None),
        ({"contents": []}, "contents"),
        ({"contents": [{"role": "assistant", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [{"text": 5}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": []}]}, "contents"),
        (
            {
                "tools": [{"functionDeclarations": [FUNCTION]}],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY",
                                                         "allowedFunctionNames": ["other"]}},
            },
            "toolConfig.functionCallingConfig.allowedFunctionNames",
        ),
    ],
)  # fmt: skip
def test_unsupported_fields_are_refused(
    http: httpx.Client, simulator: Simulator, body: Json, field: str | None
) -> None:
    """The error names each unsupported field, and no unsupported field is dropped."""
    answer = http.post(GENERATE, json={**HI, **body})

    error = answer.json()["error"]
    assert (400, "INVALID_ARGUMENT") == (answer.status_code, error["status"])
    violation = error["details"][1]["fieldViolations"][0]
    assert field in (None, violation["field"])
    assert not [one for one in simulator.state.requests if one.path == "/chat/completions"]


def test_losses_are_noted(http: httpx.Client) -> None:
    """Notes name the parameters that Copilot does not have."""
    body = {
        **HI,
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "generationConfig": {"topK": 3, "temperature": 0.5, "new_thing": 1},
        "somethingElse": 1,
    }
    notes = http.post(GENERATE, json=body).headers["x-copilot-proxy-notes"]

    for name in ("safetySettings", "generationConfig.topK", "generationConfig.newThing"):
        assert f"dropped {name}: " in notes
    assert "dropped somethingElse: " in notes
    assert "temperature" not in notes


@pytest.mark.parametrize("alphabet", [base64.b64encode, base64.urlsafe_b64encode])
def test_images_in_both_alphabets(http: httpx.Client, simulator: Simulator, alphabet: Any) -> None:
    """Base64 data in the URL-safe alphabet, which SDKs use, is converted for Copilot."""
    data = alphabet(base64.b64decode(PNG) + b"\xfb\xef\xff").decode().rstrip("=")
    part = {"inlineData": {"mimeType": "image/png", "data": data}}
    answer = http.post(GENERATE, json={"contents": [{"parts": [part, {"text": "What is it?"}]}]})

    assert "I see 1 image." in said(answer)
    assert "-" not in (url := sent(simulator)["messages"][0]["content"][0]["image_url"]["url"])[25:]
    assert base64.b64decode(url.partition(",")[2], validate=True)
    assert simulator.state.requests[-1].vision


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "OBJECT", "properties": {"name": {"type": "STRING"}}}, dict),
        ({"type": "ARRAY", "items": {"type": "STRING"}}, list),
        ({"type": "STRING", "enum": ["a", "b"]}, str),
    ],
)
def test_structured_output(http: httpx.Client, schema: Json, expected: type) -> None:
    """The answer has the type of the schema, even if models can only write objects."""
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    body = {**HI, "generationConfig": config}
    whole = said(http.post(GENERATE, json=body))
    events = gemini_events(http.post(f"{STREAM}?alt=sse", json=body).text)

    assert isinstance(json.loads(whole), expected)
    assert whole == fold_contents(events)["candidates"][0]["content"]["parts"][0]["text"]


def test_counting_and_embedding(http: httpx.Client) -> None:
    """Tokens are estimated, and one or several texts can be embedded."""
    count = http.post("/v1beta/models/gpt-4o:countTokens", json=HI)
    whole = {"generateContentRequest": {**HI, "systemInstruction": {"parts": [{"text": "Hm"}]}}}
    more = http.post("/v1beta/models/gpt-4o:countTokens", json=whole).json()["totalTokens"]
    assert 0 < count.json()["totalTokens"] < more
    assert "estimated" in count.headers["x-copilot-proxy-notes"]

    path = "/v1beta/models/text-embedding-3-small"
    one = {"content": {"parts": [{"text": "x"}]}, "outputDimensionality": 4}
    single = http.post(f"{path}:embedContent", json={**one, "taskType": "CLUSTERING"})
    batch = http.post(f"{path}:batchEmbedContents", json={"requests": [one, one]}).json()
    assert 4 == len(single.json()["embedding"]["values"])
    assert [single.json()["embedding"]] * 2 == batch["embeddings"]
    assert "dropped taskType" in single.headers["x-copilot-proxy-notes"]


def test_names_of_old_models(http: httpx.Client) -> None:
    """A name that is built into a client maps to a model of the same size, with a note."""
    answer = http.post("/v1beta/models/gemini-1.5-flash:generateContent", json=HI)

    assert (
        "changed model: this account does not have gemini-1.5-flash"
        in answer.headers["x-copilot-proxy-notes"]
    )
    assert "gemini-1.5-flash" == answer.json()["modelVersion"]
