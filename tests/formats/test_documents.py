"""PDFs from every client API to every API of a model, and files of other types."""

import base64
import json
from typing import Any, Final

import pytest

from copilot_proxy.catalogue import Model, parse_models
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.apis import client_apis
from copilot_proxy.formats.documents import DEFAULT_NAME
from copilot_proxy.formats.pi_ai.api import PI_AI
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.translation import PreparedRequest, prepare
from copilot_proxy.formats.types import Json
from tests.pdfs import PDF, PDF_BYTES, PDF_URL
from tests.selection import every_value

WITHOUT_DOCUMENTS: Final = ("completions", "ollama")
CLIENTS: Final = {api.name: api for api in client_apis() if api.name not in WITHOUT_DOCUMENTS}
"""The APIs that support documents."""
EACH_CLIENT = pytest.mark.parametrize("client", list(CLIENTS))
NAME: Final = "paper.pdf"


def a_model(id: str, vendor: str, *paths: str, pdf: bool = False, vision: bool = True) -> Model:
    """Return a model on these paths, with or without support for PDFs and images."""
    types = ["image/png", *(["application/pdf"] if pdf else [])]
    capabilities: Json = {
        "type": "chat",
        "family": id,
        "limits": {"vision": {"supported_media_types": types}} if vision else {},
        "supports": {"vision": vision, "streaming": True},
    }
    entry = {"id": id, "vendor": vendor, "capabilities": capabilities}
    (model,) = parse_models([{**entry, "supported_endpoints": list(paths)}])
    return model


CHAT, RESPONSES, MESSAGES = "/chat/completions", "/responses", "/v1/messages"
CLAUDE = a_model("claude-opus-9", "Anthropic", MESSAGES)
GPT = a_model("gpt-9", "OpenAI", RESPONSES)
GEMINI = a_model("gemini-9-pro", "Google", CHAT, pdf=True)


def encoded(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def part(client: str, url: str = PDF_URL, name: str | None = NAME) -> Json:
    """Return a client's part with a file; `url` is a base64 ``data:`` URL."""
    header, _, data = url.partition(",")
    if client == "gemini":
        blob = {"mimeType": header[5:].partition(";")[0], "data": data}
        return {"inlineData": blob | ({"displayName": name} if name else {})}
    if client == "messages":
        source = {"type": "base64", "media_type": header[5:].partition(";")[0], "data": data}
        return {"type": "document", "source": source, **({"title": name} if name else {})}
    file = {"file_data": url, **({"filename": name} if name else {})}
    return (
        {"type": "file", "file": file} if client != "responses" else {"type": "input_file"} | file
    )


def body(client: str, *parts: Json) -> Json:
    """Return a request from `client` whose user sends `parts`."""
    if client == "gemini":
        return {"model": "m", "contents": [{"parts": list(parts)}]}
    turn = {"role": "user", "content": list(parts)}
    if client == "responses":
        return {"model": "m", "input": [turn]}
    return {"model": "m", "messages": [turn], "max_tokens": 2000}


def with_result(client: str, file: Json) -> Json:
    """Return a request from `client` in which a tool returned `file`."""
    if client == "gemini":
        returned = {"functionResponse": {"name": "f", "response": {}, "parts": [file]}}
        asked: Json = {"functionCall": {"name": "f", "args": {}}}
        parts = {"user": [{"text": "Read"}], "model": [asked], "": [returned]}
        contents = [{"role": role, "parts": one} for role, one in parts.items()]
        return {"model": "m", "contents": contents}
    if client == "responses":
        call: Json = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
        output = {"type": "function_call_output", "call_id": "c1", "output": [file]}
        return {"model": "m", "input": [{"role": "user", "content": "Read"}, call, output]}
    if client == "messages":
        use = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
        result = {"type": "tool_result", "tool_use_id": "c1", "content": [file]}
        turns: Any = [("user", "Read"), ("assistant", [use]), ("user", [result])]
        messages = [{"role": role, "content": content} for role, content in turns]
        return {"model": "m", "messages": messages, "max_tokens": 2000}
    function = {"name": "f", "arguments": "{}"}
    call = {"id": "c1", "type": "function", "function": function}
    messages = [
        {"role": "user", "content": "Read"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": [file]},
    ]
    return {"model": "m", "messages": messages, "max_tokens": 2000}


def sent(client: str, request: Json, model: Model | None, **options: Any) -> PreparedRequest:
    """Return the request for Copilot, after parsing the client's request as the server does."""
    api = CLIENTS[client]
    parsed = api.parse(json.dumps(request).encode())
    return prepare(api, parsed, model, ReasoningCache(), **options)


def refusal(
    client: str, request: Json, model: Model | None = CLAUDE, **options: Any
) -> RequestError:
    """Return the error for a request."""
    with pytest.raises(RequestError) as caught:
        sent(client, request, model, **options)
    assert 400 == caught.value.status
    return caught.value


def parts_of(prepared: PreparedRequest) -> list[Json]:
    """Return the parts of messages to Copilot that are neither text nor calls."""
    found: list[Json] = []
    pending: list[Any] = [prepared.body.get("messages") or prepared.body["input"]]
    while pending:
        one = pending.pop(0)
        if isinstance(one, list):
            pending[:0] = one
        elif isinstance(one, dict):
            if one.get("type") in ("file", "input_file", "document", "image_url", "image"):
                found.append({k: v for k, v in one.items() if k != "cache_control"})
            pending[:0] = [one.get("content"), one.get("output")]
    return found


BLOCK = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
}
FILE = {"type": "input_file", "filename": NAME, "file_data": PDF_URL}
AS_IMAGE = {"type": "image_url", "image_url": {"url": PDF_URL}}


@every_value
@EACH_CLIENT
@pytest.mark.parametrize("make", [body, with_result])
@pytest.mark.parametrize(
    ("model", "route", "expected"),
    [
        (CLAUDE, "messages", {**BLOCK, "title": NAME}),
        (GPT, "responses", FILE),
        (GEMINI, "chat_completions", AS_IMAGE),
    ],
)
def test_pdfs_reach_models_of_every_api(
    client: str, make: Any, model: Model, route: str, expected: Json
) -> None:
    """A PDF from the user or a tool reaches the model in the format of its API."""
    prepared = sent(client, make(client, part(client)), model)

    assert (route, [expected]) == (prepared.api.name, parts_of(prepared))
    assert (route == "chat_completions") == prepared.pdf_as_image


@EACH_CLIENT
@pytest.mark.parametrize(
    ("model", "route"),
    [
        (a_model("claude-sonnet-9", "Anthropic", CHAT, MESSAGES, pdf=True), "messages"),
        (a_model("gpt-9-mini", "OpenAI", CHAT, RESPONSES), "responses"),
    ],
)
def test_the_api_that_has_documents_is_preferred(client: str, model: Model, route: str) -> None:
    """A PDF is sent on an API that supports documents, even if the client uses Chat Completions.

    Requests without a PDF stay on the client's own API.
    """
    text = {"type": "input_text" if client == "responses" else "text", "text": "Hi"}
    own = {"chat_completions": CHAT, "responses": RESPONSES, "messages": MESSAGES}.get(client)

    assert route == sent(client, body(client, part(client)), model).api.name
    if own in model.endpoints:
        assert client == sent(client, body(client, text), model).api.name


@every_value
@EACH_CLIENT
@pytest.mark.parametrize(
    "model",
    [
        a_model("gpt-4o", "Azure OpenAI", CHAT),
        a_model("gpt-4.1", "OpenAI", RESPONSES),
        a_model("gpt-9", "OpenAI", RESPONSES, vision=False),
        a_model("gemini-2", "Google", CHAT),
        a_model("kimi-k9", "Moonshot", CHAT),
        a_model("claude-9", "Anthropic", CHAT),
    ],
    ids=lambda model: f"{model.id}{model.endpoints}",
)
@pytest.mark.parametrize("make", [body, with_result])
def test_other_models_refuse_pdfs_clearly(client: str, model: Model, make: Any) -> None:
    """The error names the field of the request, and models that accept PDFs."""
    error = refusal(client, make(client, part(client)), model)

    if client == "gemini":
        place = "[0].parts[0]" if make is body else "[2].parts[0].functionResponse.parts[0]"
        assert f"contents{place}.inlineData.data" == error.param
        return
    field = {"chat_completions": ".file.file_data", "responses": ".file_data"}
    where = {body: "{}[0].content[0]", with_result: "{}[2].content[0]"}[make]
    if make is with_result and client != "chat_completions":
        where = {"responses": "{}[2].output[0]", "messages": "{}[2].content[0].content[0]"}[client]
    root = "input" if client == "responses" else "messages"
    assert where.format(root) + field.get(client, ".source.data") == error.param
    assert f"{model.id} does not accept PDFs." == error.message
    assert "Claude, GPT-5" in str(error.hint)


@EACH_CLIENT
def test_pi_ai_refuses_pdfs(client: str) -> None:
    """pi-ai does not support documents, so a PDF is refused instead of dropped."""
    error = refusal(client, body(client, part(client)), fixed_api=PI_AI)

    assert "unsupported_value" == error.code
    assert "without --upstream" in str(error.hint)


@EACH_CLIENT
def test_without_a_catalogue_pdfs_are_sent(client: str) -> None:
    """If the model list cannot be loaded, Copilot decides."""
    assert 1 == len(parts_of(sent(client, body(client, part(client)), None)))


@every_value
@EACH_CLIENT
@pytest.mark.parametrize("model", [CLAUDE, GPT, GEMINI, a_model("gpt-4o", "Azure OpenAI", CHAT)])
@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"a,b\n1,2", "text/csv"),
        ("\ufeffGrüße".encode(), "text/plain"),
        (b'{"a": 1}', "application/json"),
        (b"\x1b[1mbold\x1b[0m", "application/octet-stream"),
    ],
)
def test_other_files_become_text(
    client: str, model: Model, content: bytes, media_type: str
) -> None:
    """Every model receives other files as text, with their names."""
    prepared = sent(
        client, body(client, part(client, encoded(content, media_type), "notes")), model
    )

    (turn,) = prepared.body.get("messages") or prepared.body["input"]
    text = content.decode().removeprefix("\ufeff")
    if client == "messages" and model is CLAUDE:
        source = {"type": "text", "media_type": "text/plain", "data": text}
        assert [{"type": "document", "source": source, "title": "notes"}] == turn["content"]
    else:
        inner = turn["content"]
        shown = inner if isinstance(inner, str) else inner[0]["text"]
        assert f'<document title="notes">\n{text}\n</document>' == shown
    assert not prepared.pdf_as_image


@every_value
@EACH_CLIENT
@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:application/pdf;base64,JVBE*", "invalid_value"),
        (PDF_URL[:-3], "invalid_value"),
        (encoded(b"GIF89a", "application/pdf"), "invalid_value"),
        (encoded(b"", "application/pdf"), "invalid_value"),
        (encoded(b"PK\x03\x04\x14\0", "application/zip"), "unsupported_value"),
        (encoded(b"\xff\xfe", "text/plain"), "unsupported_value"),
    ],
)
def test_invalid_files_are_refused(client: str, url: str, code: str) -> None:
    """Data that is not base64, not a PDF, or not text is refused, with the name of the field."""
    error = refusal(client, body(client, part(client, url)))

    field = {"chat_completions": "file.file_data", "responses": "file_data"}
    root = "input" if client == "responses" else "messages"
    place = f"{root}[0].content[0].{field.get(client, 'source.data')}"
    assert error.param == ("contents[0].parts[0].inlineData.data" if client == "gemini" else place)
    assert code == error.code


def test_only_the_bytes_say_what_a_file_is() -> None:
    """A PDF may have other bytes before its signature, and no media type."""
    data = base64.b64encode(b"\n" * 1000 + PDF_BYTES).decode()

    for url in (data, f"data:;base64,{data}", f"data:text/plain;base64,{data}"):
        prepared = sent("chat_completions", body("chat_completions", part("chat", url)), GPT)
        assert [{**FILE, "file_data": f"data:application/pdf;base64,{data}"}] == parts_of(prepared)


@pytest.mark.parametrize(
    ("client", "file", "field", "code"),
    [
        ("chat_completions", {"file_id": "f"}, ".file.file_id", "unsupported_value"),
        ("chat_completions", {}, ".file.file_data", "missing_required_parameter"),
        ("chat_completions", {"file_data": 5}, ".file.file_data", "invalid_type"),
        (
            "chat_completions",
            {"file_data": "data:text/plain,a"},
            ".file.file_data",
            "invalid_value",
        ),
        ("responses", {"file_id": "f"}, ".file_id", "unsupported_value"),
        ("responses", {"file_url": "https://x/a.pdf"}, ".file_url", "unsupported_value"),
        ("responses", {"filename": "a"}, ".file_data", "missing_required_parameter"),
    ],
)
def test_files_without_data_are_refused(client: str, file: Json, field: str, code: str) -> None:
    """Ids and URLs are refused; the error names the field and says what to send instead."""
    kind = (
        {"type": "file", "file": file} if client != "responses" else {"type": "input_file", **file}
    )
    root = "input" if client == "responses" else "messages"

    error = refusal(client, body(client, kind))

    assert (f"{root}[0].content[0]{field}", code) == (error.param, error.code)
    assert ("--fetch-images" in str(error.hint)) == ("file_url" in file)


@pytest.mark.parametrize(("name", "expected"), [(None, DEFAULT_NAME), ("A study", "A study.pdf")])
def test_names(name: str | None, expected: str) -> None:
    """OpenAI requires a file name for PDFs, and checks its extension."""
    for client in CLIENTS:
        prepared = sent(client, body(client, part(client, name=name)), GPT)
        assert [expected] == [file["filename"] for file in parts_of(prepared)]


def test_translation_losses_are_noted() -> None:
    """Citations in documents are kept for Claude and noted for others; the context becomes text."""
    block = {**BLOCK, "title": "T", "context": "C", "citations": {"enabled": True}}

    kept = sent("messages", body("messages", block), CLAUDE)
    lost = sent("messages", body("messages", block), GPT)

    assert ([block], []) == (parts_of(kept), kept.notes)
    assert [
        "dropped citations from documents: Chat Completions has no equivalent",
    ] == lost.notes
    assert "About the next document: C" in str(lost.body)
    assert "changed files to images" in "".join(
        sent("messages", body("messages", block), GEMINI).notes
    )


@pytest.mark.parametrize("make", [body, with_result])
@pytest.mark.parametrize("model", [CLAUDE, GPT, GEMINI])
def test_documents_that_consist_of_blocks(model: Model, make: Any) -> None:
    """Texts and images in a document reach every model in order, between tags with its title."""
    image = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    content = [{"type": "text", "text": "One."}, {"type": "image", "source": image}]
    block = {"type": "document", "title": NAME, "source": {"type": "content", "content": content}}

    prepared = sent("messages", make("messages", block), model)

    said = json.dumps(prepared.body)
    places = [said.index(word) for word in ("<document title=", "One.", "</document>")]
    assert places == sorted(places)
    assert "iVBORw0KGgo=" in said
    if model is CLAUDE:
        assert "changed documents of the type 'content' to text" in "; ".join(prepared.notes)
