"""Images fetched from URLs: their places in requests, their types, and their limits."""

import asyncio
import base64
import gzip
import threading
from typing import Any

import pytest

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.types import ClientRequest, Json
from copilot_proxy.network.image_fetcher import MAX_IMAGE, MAX_TOTAL, MAX_URLS, ImageFetcher
from tests.network.internet import (
    DATA_URL,
    HOST,
    PNG,
    PUBLIC,
    REFUSED,
    URL,
    Internet,
    Page,
    chat,
    refusal,
)
from tests.network.internet import internet as internet  # a fixture
from tests.pdfs import PDF, PDF_BYTES, PDF_URL

SOURCE = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}


def part(url: object) -> Json:
    return {"type": "image_url", "image_url": url}


def shown(url: object) -> Json:
    return {"type": "input_image", "image_url": url, "detail": "auto"}


def block(source: object) -> Json:
    return {"type": "image", "source": source, "cache_control": {"type": "ephemeral"}}


AT = {"type": "url", "url": URL}


@pytest.mark.parametrize(
    ("request_with", "url", "data", "path"),
    [
        (lambda x: {"messages": [{"content": [part({"url": x, "detail": "low"})]}]},
         URL, DATA_URL, "messages[0].content[0].image_url"),
        (lambda x: {"messages": [{"content": "Hi"}, {"role": "tool", "content": [part(x)]}]},
         URL, DATA_URL, "messages[1].content[0].image_url"),
        (lambda x: {"input": [{"role": "user", "content": [{"type": "input_text"}, shown(x)]}]},
         URL, DATA_URL, "input[0].content[1].image_url"),
        (lambda x: {"input": [{"type": "function_call_output", "output": [shown(x)]}]},
         URL, DATA_URL, "input[0].output[0].image_url"),
        (lambda x: {"messages": [{"content": [block(x)]}]},
         AT, SOURCE, "messages[0].content[0].source"),
        (lambda x: {"messages": [{"content": [{"type": "tool_result", "content": [block(x)]}]}]},
         AT, SOURCE, "messages[0].content[0].content[0].source"),
        (lambda x: {"messages": [{"content": [{"type": "document", "source": {
            "type": "content", "content": [block(x)]}}]}]},
         AT, SOURCE, "messages[0].content[0].source.content[0].source"),
    ],
)  # fmt: skip
async def test_where_images_are_found(
    internet: Internet, request_with: Any, url: object, data: object, path: str
) -> None:
    """In requests on every API, only the image's URL is replaced, at any depth."""
    request = request_with(url)

    notes = await internet.fetcher().inline(request)

    assert request_with(data) == request
    assert [f"inlined {path}: {len(PNG)} bytes"] == notes


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"messages": None, "input": "see https://pictures.example/a.png"},
        {
            "messages": [
                {"content": [part({"url": DATA_URL}), part(DATA_URL), part(None), part({})]}
            ]
        },
        {"messages": [{"content": [{"type": "text", "text": URL, "image_url": URL}]}]},
        {"input": [{"content": [shown(None), shown("file-1"), shown(5)]}, 5, "x"]},
        {"messages": [{"content": [block(SOURCE), block({"type": "url"}), block("x")]}]},
        {"messages": [{"content": [{"type": "video", "source": AT}]}], "metadata": part(URL)},
        {"input": [{"content": [{"type": "input_file", "file_url": "file:///etc/passwd"}]}]},
    ],
)
async def test_nothing_else_is_touched(internet: Internet, request_: ClientRequest) -> None:
    """Data URLs, text and malformed parts are unchanged, and nothing is downloaded."""
    before = repr(request_)

    assert [] == await internet.fetcher().inline(request_)
    assert (before, []) == (repr(request_), internet.looked_up)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0 and more", "image/jpeg"),
        (b"GIF87a and more", "image/gif"),
        (b"GIF89a and more", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
    ],
)
async def test_types(internet: Internet, body: bytes, kind: str) -> None:
    """The media type is detected from the bytes, not taken from the server's header."""
    internet.pages["/a.png"] = Page(body, headers={"content-type": "text/html"})
    request = chat(URL)

    await internet.fetcher().inline(request)

    url = request["messages"][0]["content"][0]["image_url"]["url"]
    assert f"data:{kind};base64,{base64.b64encode(body).decode()}" == url


@pytest.mark.parametrize(
    "page",
    [
        Page(b""),
        Page(b"<svg xmlns='http://www.w3.org/2000/svg'/>", headers={"content-type": "image/png"}),
        Page(b"RIFF\x10\0\0\0WAVEfmt "),
        Page(gzip.compress(PNG), headers={"content-encoding": "gzip"}),
    ],
)
async def test_other_files_are_refused(internet: Internet, page: Page) -> None:
    """Anything other than an image is refused, and compressed bodies are not decompressed."""
    internet.pages["/a.png"] = page

    assert "not a PNG, JPEG, GIF or WebP" in (await refusal(internet, URL)).message


async def test_each_address_is_fetched_once(internet: Internet) -> None:
    """A URL that occurs several times is fetched once, with one note."""
    request = chat(URL, URL, f"{URL}?2", URL)
    internet.pages["/a.png?2"] = Page(PNG * 2)

    notes = await internet.fetcher().inline(request)

    assert 2 == len(internet.requests) == len(notes)
    assert all(
        part["image_url"]["url"].startswith(DATA_URL[:30])
        for part in request["messages"][0]["content"]
    )


async def test_only_a_few_at_once(internet: Internet) -> None:
    """Four URLs are downloaded at a time, and the fifth waits."""
    go = asyncio.Event()

    async def look_up(host: str) -> list[str]:
        internet.looked_up.append(host)
        await go.wait()
        return [PUBLIC]

    internet.pages |= {f"/{i}": Page() for i in range(6)}
    fetcher = ImageFetcher(look_up, internet.make_client)
    running = asyncio.create_task(fetcher.inline(chat(*(f"https://{HOST}/{i}" for i in range(6)))))
    for _ in range(50):
        await asyncio.sleep(0)
    waiting = len(internet.looked_up)
    go.set()

    assert (4, 6) == (waiting, len(await running))


async def test_error_statuses(internet: Internet) -> None:
    """The error contains the status; a redirect without a location is also an error."""
    internet.pages["/a.png"] = Page(b"gone", 404)
    gone = await refusal(internet, URL)
    internet.pages["/a.png"] = Page(b"", 302)
    aimless = await refusal(internet, URL)

    assert "The image cannot be fetched: its server answered with status 404." == gone.message
    assert "answered with status 302" in aimless.message


async def test_an_incomplete_image(internet: Internet) -> None:
    """An incomplete image is an error."""
    internet.pages["/a.png"] = Page(headers={"content-length": "1000", "connection": "close"})

    assert REFUSED == (await refusal(internet, URL)).message


async def test_the_maximum_size(internet: Internet) -> None:
    """An image at the size limit is accepted; one byte more is not."""
    internet.pages["/a.png"] = Page(PNG.ljust(MAX_IMAGE, b"\0"))
    assert [f"inlined messages[0].content[0].image_url: {MAX_IMAGE} bytes"] == (
        await internet.fetcher().inline(chat(URL))
    )

    internet.pages["/a.png"] = Page(PNG.ljust(MAX_IMAGE + 1, b"\0"))
    assert "larger than 3 MiB." in (await refusal(internet, URL)).message


async def test_the_maximum_total_size(internet: Internet) -> None:
    """An image counts once per use, although it is downloaded once."""
    internet.pages["/a.png"] = Page(PNG.ljust(MAX_IMAGE, b"\0"))

    error = await refusal(internet, *[URL] * (MAX_TOTAL // MAX_IMAGE + 1))

    assert "larger than 20 MiB in total." in error.message
    assert 1 == len(internet.requests)


async def test_the_maximum_number_of_urls(internet: Internet) -> None:
    """A request with too many URLs is refused before any is fetched."""
    error = await refusal(internet, *(f"{URL}?{i}" for i in range(MAX_URLS + 1)))

    assert f"has more than {MAX_URLS}" in error.message
    assert f"messages[0].content[{MAX_URLS}].image_url" == error.param
    assert [] == internet.looked_up


async def test_a_slow_server(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch that takes too long is aborted, and the error names the image."""
    loop, timeout_at = asyncio.get_running_loop(), asyncio.timeout_at
    timeouts: list[asyncio.Timeout] = []

    class Gate(threading.Event):
        """Makes the fetch time out once the server waits."""

        def wait(self, timeout: float | None = None) -> bool:
            loop.call_soon_threadsafe(timeouts[0].reschedule, loop.time())
            return super().wait(timeout)

    def recorded(when: float) -> asyncio.Timeout:
        timeouts.append(timeout_at(when))
        return timeouts[-1]

    monkeypatch.setattr(asyncio, "timeout_at", recorded)
    internet.pages["/slow"] = Page(gate=Gate())

    error = await refusal(internet, DATA_URL, f"https://{HOST}/slow", timeout=60)

    assert "The image cannot be fetched: it was not received within 60 seconds." == error.message
    assert "messages[0].content[1].image_url" == error.param


async def test_unexpected_exceptions_are_not_hidden(internet: Internet) -> None:
    """Unexpected exceptions are not turned into fetch errors."""

    async def broken(host: str) -> list[str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ImageFetcher(broken, internet.make_client).inline(chat(URL))


@pytest.mark.parametrize(
    ("request_with", "url", "data", "path"),
    [
        (lambda x: {"messages": [{"content": [{"type": "document", "source": x}]}]},
         AT, {"type": "base64", "media_type": "application/pdf", "data": PDF},
         "messages[0].content[0].source"),
        (lambda x: {"input": [{"content": [{"type": "input_file", **x}]}]},
         {"file_url": URL}, {"file_data": PDF_URL, "filename": "a.png"},
         "input[0].content[0].file_url"),
        (lambda x: {"input": [{"output": [{"type": "input_file", "filename": "b.pdf", **x}]}]},
         {"file_url": URL}, {"file_data": PDF_URL}, "input[0].output[0].file_url"),
    ],
)  # fmt: skip
async def test_pdfs(
    internet: Internet, request_with: Any, url: object, data: object, path: str
) -> None:
    """PDFs are fetched like images, and named after their URL; other files are refused."""
    internet.pages["/a.png"] = Page(PDF_BYTES)
    request = request_with(url)

    assert [f"inlined {path}: {len(PDF_BYTES)} bytes"] == await internet.fetcher().inline(request)
    assert request_with(data) == request

    internet.pages["/a.png"] = Page()
    with pytest.raises(RequestError) as caught:
        await internet.fetcher().inline(request_with(url))
    assert "The document cannot be fetched: it is not a PDF." == caught.value.message
    assert (path, "invalid_document_url") == (caught.value.param, caught.value.code)


async def test_a_pdf_may_be_larger_than_an_image(internet: Internet) -> None:
    """The size limit for images is Copilot's; for PDFs, only the request's limit applies."""
    internet.pages["/a.png"] = Page(PDF_BYTES.ljust(MAX_IMAGE + 1, b"\0"))
    request = {"messages": [{"content": [{"type": "document", "source": AT}]}]}

    (note,) = await internet.fetcher().inline(request)

    assert note.endswith(f"{MAX_IMAGE + 1} bytes")
