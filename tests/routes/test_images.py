"""Images given as URLs, on each API: refused with a hint, or downloaded and inserted."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from copilot_proxy.composition import make_services
from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.routes.services import Services
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.network.internet import PNG, URL, Internet, Page
from tests.network.internet import internet as internet  # a fixture
from tests.selection import every_value

DATA = base64.b64encode(PNG).decode()


class OnlineProxy(Proxy):
    """A server that fetches images from a fake internet."""

    def __init__(self, simulator: Simulator, internet: Internet) -> None:
        super().__init__(settings_at(simulator, fetch_images=True))
        self._internet = internet

    def services(self) -> Services:
        return replace(super().services(), images=self._internet.fetcher())


@pytest.fixture
def online(simulator: Simulator, internet: Internet) -> Iterator[OnlineProxy]:
    """A running `OnlineProxy`, signed in to the simulator."""
    with OnlineProxy(simulator, internet) as running:
        yield running


def chat(url: str) -> ClientRequest:
    part = {"type": "image_url", "image_url": {"url": url}}
    return {"messages": [{"role": "user", "content": [part]}]}


def plain_chat(url: str) -> ClientRequest:
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]}


def responses(url: str) -> ClientRequest:
    return {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}


def tool_output(url: str) -> ClientRequest:
    call = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
    image = {"type": "input_image", "image_url": url}
    output = {"type": "function_call_output", "call_id": "c1", "output": [image]}
    return {"input": [{"role": "user", "content": "Look"}, call, output]}


def messages(url: str) -> ClientRequest:
    block = {"type": "image", "source": {"type": "url", "url": url}}
    return {"max_tokens": 50, "messages": [{"role": "user", "content": [block]}]}


def tool_result(url: str) -> ClientRequest:
    block = {"type": "image", "source": {"type": "url", "url": url}}
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [block]}
    turns = [("user", "Look"), ("assistant", [use]), ("user", [result])]
    return {
        "max_tokens": 50,
        "messages": [{"role": role, "content": content} for role, content in turns],
    }


def gemini(url: str) -> ClientRequest:
    return {"contents": [{"parts": [{"fileData": {"fileUri": url, "mimeType": "image/png"}}]}]}


def gemini_result(url: str) -> ClientRequest:
    call = {"functionCall": {"name": "look", "args": {}}}
    parts = [{"file_data": {"file_uri": url}}]
    result = {"functionResponse": {"name": "look", "response": {}, "parts": parts}}
    turns = [("user", {"text": "Look"}), ("model", call), ("user", result)]
    return {"contents": [{"role": role, "parts": [part]} for role, part in turns]}


EACH = pytest.mark.parametrize(
    ("path", "make", "where"),
    [
        ("/v1/chat/completions", chat, "messages[0].content[0].image_url"),
        ("/v1/chat/completions", plain_chat, "messages[0].content[0].image_url"),
        ("/v1/responses", responses, "input[0].content[0].image_url"),
        ("/v1/responses", tool_output, "input[2].output[0].image_url"),
        ("/v1/messages", messages, "messages[0].content[0].source"),
        ("/v1/messages", tool_result, "messages[2].content[0].content[0].source"),
    ],
)
MODELS = pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.5", "claude-sonnet-4.5"])

Make = Callable[[str], ClientRequest]


@every_value
@MODELS
@EACH
def test_on(
    online: OnlineProxy, simulator: Simulator, path: str, make: Make, where: str, model: str
) -> None:
    """The image data reaches Copilot with the vision header on every API."""
    with online.client() as client:
        answer = client.post(path, json={"model": model, **make(URL)})

    assert 200 == answer.status_code, answer.text
    assert f"inlined {where}: {len(PNG)} bytes" in answer.headers["x-copilot-proxy-notes"]
    asked = [r for r in simulator.state.requests if r.method == "POST" and r.body][-1]
    assert asked.vision
    assert DATA in json.dumps(asked.body)
    assert URL not in json.dumps(asked.body)
    assert answer.headers["x-copilot-proxy-notes"].startswith("inlined")
    assert online.wait_for_record().notes[0].startswith("inlined")


@every_value
@MODELS
@EACH
def test_off(proxy: Proxy, path: str, make: Make, where: str, model: str) -> None:
    """Without the setting, the error names the image and both solutions."""
    with proxy.client() as client:
        answer = client.post(path, json={"model": model, **make(URL)})

    error = answer.json()["error"]
    assert 400 == answer.status_code
    assert "base64" in answer.text
    assert "or start the server with --fetch-images." in answer.text
    assert path == "/v1/messages" or where == error["param"]


def as_messages(url: str) -> ClientRequest:
    request = messages("")
    declared, _, data = url.removeprefix("data:").partition(";base64,")
    source = {"type": "base64", "media_type": declared, "data": data}
    request["messages"][0]["content"][0]["source"] = source
    return request


def as_gemini(url: str) -> ClientRequest:
    declared, _, data = url.removeprefix("data:").partition(";base64,")
    return {"contents": [{"parts": [{"inlineData": {"mimeType": declared, "data": data}}]}]}


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("data:image/png;base64,", "is empty"),
        ("data:image/png;base64,undefined!", "is not valid base64"),
        ("data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=", "is image/svg+xml, which no model accepts"),
        ("data:image/bmp;base64,Qk0AAAAA", "is image/bmp, which no model accepts"),
        ("data:image/png,abc", "is a data: URL that is not base64"),
    ],
)
def test_no_image(proxy: Proxy, simulator: Simulator, url: str, what: str) -> None:
    """Data that is not an image is refused before Copilot is called, and the error locates it."""
    requests: dict[str, list[tuple[Make, str]]] = {
        "/v1/chat/completions": [(chat, "messages[0].content[0].image_url")],
        "/v1/responses": [
            (responses, "input[0].content[0].image_url"),
            (tool_output, "input[2].output[0].image_url"),
        ],
        "/v1/messages": [(as_messages, "messages[0].content[0].source.data")],
        "/v1beta/models/gpt-4o:generateContent": [(as_gemini, "contents[0].parts[0].inlineData")],
    }
    with proxy.client() as client:
        for path, bodies in requests.items():
            for make, where in bodies:
                if "base64" not in url and make in (as_messages, as_gemini):
                    continue
                answer = client.post(path, json={"model": "gpt-4o", **make(url)})

                assert 400 == answer.status_code, path
                assert what in answer.json()["error"]["message"]
                assert where in answer.json()["error"]["message"]
    assert not [one for one in simulator.state.requests if one.method == "POST"]


@EACH
def test_failures(
    online: OnlineProxy, simulator: Simulator, internet: Internet, path: str, make: Make, where: str
) -> None:
    """If an image cannot be downloaded, the error has the API's format; Copilot is not called."""
    internet.pages["/a.png"] = Page(b"gone", 404)
    with online.client() as client:
        answer = client.post(path, json={"model": "gpt-4o", "stream": True, **make(URL)})

    assert (400, "invalid_request_error") == (answer.status_code, answer.json()["error"]["type"])
    assert "its server answered with status 404" in answer.json()["error"]["message"]
    assert not [r for r in simulator.state.requests if r.method == "POST" and r.body]


def test_streams(online: OnlineProxy) -> None:
    """A streamed answer also has the note in its headers."""
    with online.client() as client:
        body = {"model": "gpt-4o", "stream": True, **chat(URL)}
        answer = client.post("/v1/chat/completions", json=body)

    assert "inlined" in answer.headers["x-copilot-proxy-notes"]
    assert answer.text.endswith("data: [DONE]\n\n")


def test_counting_tokens(online: OnlineProxy, simulator: Simulator) -> None:
    """The image is also sent to Copilot in requests to count tokens."""
    with online.client() as client:
        body = {"model": "claude-sonnet-4.5", "messages": messages(URL)["messages"]}
        answer = client.post("/v1/messages/count_tokens", json=body)

    assert 200 == answer.status_code, answer.text
    assert DATA in json.dumps(simulator.state.requests[-1].body)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "an image"}]}', 200),
        (b'["image"]', 400),
        (b'{"image', 400),
        (b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}', 200),
    ],
)
def test_requests_without_images(
    online: OnlineProxy, internet: Internet, content: bytes, status: int
) -> None:
    """Requests without images are handled as if the setting were off."""
    with online.client() as client:
        answer = client.post("/v1/chat/completions", content=content)

    assert status == answer.status_code
    assert "x-copilot-proxy-notes" not in answer.headers
    assert [] == internet.looked_up


async def test_the_setting_is_the_switch(simulator: Simulator) -> None:
    """The server has an image fetcher only if the setting is on."""
    made = {
        on: make_services(settings_at(simulator, fetch_images=on), report=lambda record: None)
        for on in (True, False, None)
    }
    for services in made.values():
        await services.callers.close()
        await services.aclose()

    assert [True, False, False] == [services.images is not None for services in made.values()]


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (gemini, "contents[0].parts[0].fileData"),
        (gemini_result, "contents[2].parts[0].functionResponse.parts[0].file_data"),
    ],
)
@MODELS
def test_gemini(
    online: OnlineProxy, simulator: Simulator, model: str, make: Make, where: str
) -> None:
    """On the Gemini API, a file with a web address is also downloaded."""
    with online.client() as client:
        answer = client.post(f"/v1beta/models/{model}:generateContent", json=make(URL))

    assert 200 == answer.status_code, answer.text
    assert f"inlined {where}: {len(PNG)} bytes" in answer.headers["x-copilot-proxy-notes"]
    asked = [r for r in simulator.state.requests if r.method == "POST" and r.body][-1]
    assert asked.vision
    assert DATA in json.dumps(asked.body)


def test_gemini_without_the_setting(proxy: Proxy) -> None:
    """The error names the file and both solutions."""
    with proxy.client() as client:
        answer = client.post("/v1beta/models/gpt-4o:generateContent", json=gemini(URL))

    error = answer.json()["error"]
    assert 400 == error["code"]
    assert "in inlineData, or start the server with --fetch-images." in error["message"]
