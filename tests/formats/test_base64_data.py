"""Images and documents reach every model in the same form, however a client encodes them."""

import base64
import json
import re
from collections.abc import Callable
from typing import Final

import msgspec
import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.base64_data import read_data_url, standard_base64
from copilot_proxy.formats.gemini.api import GEMINI
from copilot_proxy.formats.gemini.request import parse_call
from copilot_proxy.formats.ollama.api import OLLAMA
from copilot_proxy.formats.ollama.request import parse_chat
from copilot_proxy.formats.types import Json
from tests.formats.routes import claude, model_on, sent
from tests.pdfs import PDF, PDF_BYTES
from tests.selection import every_value

JPEG_BYTES: Final = b"\xff\xd8\xff\xe0" + bytes(range(200, 256)) * 3 + b"\xfb\xff"
JPEG: Final = base64.b64encode(JPEG_BYTES).decode()
URL: Final = f"data:image/jpeg;base64,{JPEG}"
Encoder = Callable[[bytes], str]


def lines(data: bytes) -> str:
    return base64.encodebytes(data).decode()


def unpadded(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def for_urls(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


ENCODERS: Final[tuple[Encoder, ...]] = (lines, unpadded, for_urls)
PREFIXES: Final = ("", "data:application/pdf;base64,", "DATA:Application/PDF;name=a.pdf;BASE64,")
LINES: Final = lines(JPEG_BYTES)
URL_ALPHABET: Final = for_urls(JPEG_BYTES).rstrip("=")
MODELS: Final[tuple[Model, ...]] = (
    model_on("chat_completions", "gpt-4o"),
    model_on("chat_completions", "gemini-2.5-pro", "Google"),
    model_on("responses", "gpt-6-sol", vision=True),
    claude("claude-opus-5", vision=True),
)
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)

URLS: Final = (
    f"data:image/jpg;base64,{JPEG}",
    f"data:image/jpeg;name=a.jpg;base64,{JPEG}",
    f"DATA:Image/JPEG;BASE64,{JPEG}",
    f"data:image/jpeg;base64;charset=utf-8,{JPEG}",
    f"data:application/octet-stream;base64,{JPEG}",
    f"data:;base64,{JPEG}",
    f"data:image/jpeg;base64,{LINES}",
    f"data:image/jpeg;base64,{URL_ALPHABET}",
    f"data:image/jpeg;base64,{JPEG.replace('+', '%2B').replace('/', '%2F').replace('=', '%3D')}",
)
SOURCES: Final[tuple[Json, ...]] = (
    {"type": "base64", "media_type": "image/jpg", "data": JPEG},
    {"type": "base64", "media_type": "IMAGE/JPEG; name=a", "data": JPEG},
    {"type": "base64", "data": JPEG},
    {"type": "base64", "media_type": "image/jpeg", "data": LINES},
    {"type": "base64", "media_type": "image/jpeg", "data": URL_ALPHABET},
    {"type": "base64", "media_type": "image/png", "data": URL},
    {"type": "url", "url": f"data:image/jpg;base64,{JPEG}"},
)
SOURCE: Final = {"type": "base64", "media_type": "image/jpeg", "data": JPEG}
CALL: Final = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}


def in_message(part: Json) -> Json:
    return {"role": "user", "content": [part]}


def on_openai(url: str) -> list[tuple[str, Json]]:
    """Return requests that have an image URL in each place that accepts one."""
    nested = {"type": "image_url", "image_url": {"url": url, "media_type": "image/jpg"}}
    image = {"type": "input_image", "image_url": url}
    output = {"type": "function_call_output", "call_id": "a", "output": [image]}
    return [
        ("chat_completions", {"messages": [in_message(nested)]}),
        (
            "chat_completions",
            {"messages": [in_message({**image, "type": "image_url"})]},
        ),
        ("responses", {"input": [in_message(image)]}),
        ("responses", {"input": [CALL, output]}),
    ]


def on_messages(block: Json) -> list[tuple[str, Json]]:
    """Return a request with the block in a message, and a request with it in a tool result."""
    use = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [block]}
    conversations: list[list[tuple[str, Json]]] = [
        [("user", block)],
        [("assistant", use), ("user", result)],
    ]
    return [
        ("messages", {"max_tokens": 50, "messages": [{"role": r, "content": [c]} for r, c in one]})
        for one in conversations
    ]


def check(model: Model, requests: list[tuple[str, Json]]) -> None:
    """Fail unless the image reaches the model in the standard form."""
    for client, own in requests:
        request = sent(client, model, own=own)
        text = json.dumps(request.body, sort_keys=True)
        assert URL in text or json.dumps(SOURCE, sort_keys=True) in text
        assert {"image/jpeg"} == set(re.findall(r"\w+/jpe?g|\w+/png|\w+/octet-stream", text, re.I))
        assert not [note for note in request.notes if "jp" in note]


@every_value
@every_model
@pytest.mark.parametrize("url", URLS, ids=range(len(URLS)))
def test_urls_of_images(model: Model, url: str) -> None:
    check(model, on_openai(url))


@every_value
@every_model
@pytest.mark.parametrize("source", SOURCES, ids=range(len(SOURCES)))
def test_sources_of_images(model: Model, source: Json) -> None:
    check(model, on_messages({"type": "image", "source": source}))


every_form = pytest.mark.parametrize("encode", ENCODERS, ids=lambda encode: encode.__name__)


@every_form
@pytest.mark.parametrize("declared", ["image/jpg", "application/octet-stream"])
def test_images_of_gemini_and_ollama(declared: str, encode: Encoder) -> None:
    """Requests on these APIs are always translated to Chat Completions."""
    data = encode(JPEG_BYTES)
    parts = [{"inlineData": {"mimeType": declared, "data": data}}]
    gemini = parse_call(json.dumps({"contents": [{"parts": parts}]}).encode(), "gpt-4o")
    message = {"role": "user", "content": "", "images": [data]}
    ollama = parse_chat(json.dumps({"model": "gpt-4o", "messages": [message]}).encode())

    for chat in (GEMINI.to_chat(gemini, []), OLLAMA.to_chat(ollama, [])):
        assert URL == chat["messages"][0]["content"][0]["image_url"]["url"]


@every_value
@every_form
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("model", [MODELS[2], MODELS[3]], ids=lambda model: model.id)
def test_documents(model: Model, prefix: str, encode: Encoder) -> None:
    data = prefix + encode(PDF_BYTES)
    file = {"filename": "a.pdf", "file_data": data}
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    requests: list[tuple[str, Json]] = [
        ("chat_completions", {"messages": [in_message({"type": "file", "file": file})]}),
        ("responses", {"input": [in_message({"type": "input_file", **file})]}),
        *on_messages({"type": "document", "source": source}),
    ]
    for client, own in requests:
        body = json.dumps(sent(client, model, own=own).body)
        assert (1, 1) == (body.count(PDF), body.count("application/pdf"))


def test_a_document_of_gemini() -> None:
    part = {"inlineData": {"mimeType": "Application/PDF", "data": lines(PDF_BYTES)}}
    request = parse_call(json.dumps({"contents": [{"parts": [part]}]}).encode(), "gpt-4o")

    (file,) = GEMINI.to_chat(request, [])["messages"][0]["content"]
    assert f"data:application/pdf;base64,{PDF}" == file["file"]["file_data"]


@pytest.mark.parametrize("kind", ["image", "document"])
def test_no_base64_in_a_source(kind: str) -> None:
    """The error for a source without base64 names the field."""
    source = {"type": "base64", "media_type": "image/png", "data": "data:image/png,abc"}
    with pytest.raises(RequestError, match="a data: URL that is not base64") as error:
        sent("messages", MODELS[0], own=on_messages({"type": kind, "source": source})[0][1])

    assert "messages[0].content[0].source.data" == error.value.param


@pytest.mark.parametrize("text", ["", "QQ==", "QUJD", JPEG])
def test_the_standard_form_stays(text: str) -> None:
    assert text is standard_base64(text)


@pytest.mark.parametrize("url", ["data:image/png,abc", "data:", "data:image/png;base64"])
def test_without_base64(url: str) -> None:
    assert read_data_url(url) is None


@pytest.mark.parametrize("url", [f"data:image/jpg;base64,{JPEG}", f"data:image/png;base64,{JPEG}"])
@pytest.mark.parametrize("model", [MODELS[2], MODELS[3]], ids=lambda model: model.id)
def test_long_conversations(model: Model, url: str) -> None:
    """The faster parser used for long conversations does not miss an image."""
    declared, _, data = url.removeprefix("data:").partition(";base64,")
    source = {"type": "base64", "media_type": declared, "data": data}
    for client, name, image in (
        ("responses", "input", {"type": "input_image", "image_url": url}),
        ("messages", "messages", {"type": "image", "source": source}),
    ):
        earlier = [{"role": role, "content": "x" * 300} for role in ("user", "assistant")] * 300
        turns = [*earlier, {"role": "user", "content": [image]}]
        text = msgspec.json.encode(sent(client, model, own={name: turns}).body).decode()

        assert (1, 0) == (text.count("image/jpeg"), len(re.findall("image/(?:jpg|png)", text)))
