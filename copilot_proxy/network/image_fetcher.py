"""Fetches the images and PDFs that a request refers to by URL, if `fetch_images` is on.

Copilot does not fetch files itself. The URLs may come from an attacker who controls a part of the
conversation, so server-side request forgery must be prevented. Only https on port 443 is used,
every address that a host resolves to must be public, and the connection is made to a checked
address. Each redirect is checked the same way. All rejected URLs produce the same error message,
which reveals nothing about the target.
"""

import asyncio
import base64
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.documents import PDF, is_pdf
from copilot_proxy.formats.file_urls import FileUrl, Kind, find_file_urls
from copilot_proxy.formats.images import media_type
from copilot_proxy.formats.sizes import size_text
from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.network.http_clients import make_anonymous_client
from copilot_proxy.network.public_addresses import fetchable_host, is_public, look_up

LookUp = Callable[[str], Awaitable[list[str]]]
"""Resolves a host name to its addresses. Raises `OSError` or `ValueError` if there are none."""

MAX_IMAGE: Final = 3 * 1024 * 1024
"""Maximum size of an image in bytes; no Copilot model accepts larger ones."""
MAX_TOTAL: Final = 20 * 1024 * 1024
"""Maximum total size in bytes of all images and PDFs of a request, counting repeated ones each
time. A single PDF may also have this size."""
MAX_URLS: Final = 32
"""Maximum number of different URLs in a request."""
TIMEOUT: Final = 10.0
"""Seconds for fetching all images of a request."""
MAX_REDIRECTS: Final = 3
_CONCURRENCY: Final = 4
_MAX_ADDRESSES: Final = 3

_NOT_ALLOWED: Final = "its URL is not allowed or cannot be reached"


class _FetchError(Exception):
    """A file cannot be fetched; the message is the reason."""


class ImageFetcher:
    """Replaces the URLs of images and PDFs in requests with their content.

    `look_up` resolves host names, `make_client` creates the HTTP client for a single response, and
    `timeout` is the number of seconds for all images of a request.
    """

    def __init__(
        self,
        look_up: LookUp = look_up,
        make_client: Callable[[], httpx.AsyncClient] = make_anonymous_client,
        timeout: float = TIMEOUT,
    ) -> None:
        self._look_up = look_up
        self._make_client = make_client
        self._timeout = timeout

    async def inline(self, request: ClientRequest) -> list[str]:
        """Replace the URLs of files in `request` with the files' content; return a note for each
        URL.

        Each URL is fetched once. Raises `RequestError` (400), which names the URL's place in the
        request, if a file cannot be fetched.
        """
        references: dict[tuple[str, str], list[FileUrl]] = defaultdict(list)
        for reference in find_file_urls(request):
            references[reference.kind, reference.url].append(reference)
            if len(references) > MAX_URLS:
                reason = f"the request has more than {MAX_URLS} URLs of images and documents"
                raise _fetch_error(reference, reason)
        if references and urllib.request.getproxies().keys() & {"https", "all"}:
            reason = "its address cannot be checked behind a proxy (HTTPS_PROXY)"
            raise _fetch_error(next(iter(references.values()))[0], reason)

        fetch = _Fetch(self._look_up, self._make_client, self._timeout)
        try:
            async with asyncio.TaskGroup() as tasks:
                files = {
                    key: tasks.create_task(fetch.file(same[0], len(same)))
                    for key, same in references.items()
                }
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        notes = []
        for key, same in references.items():
            file_type, data = files[key].result()
            encoded = base64.b64encode(data).decode()
            for reference in same:
                reference.replace(file_type, encoded)
            notes.append(f"inlined {same[0].path}: {len(data)} bytes")
        return notes


class _Fetch:
    """Fetches the files of one request within its limits of time and size."""

    def __init__(
        self, look_up: LookUp, make_client: Callable[[], httpx.AsyncClient], timeout: float
    ) -> None:
        self._look_up = look_up
        self._make_client = make_client
        self._timeout = timeout
        self._deadline = asyncio.get_running_loop().time() + timeout
        self._semaphore = asyncio.Semaphore(_CONCURRENCY)
        self._remaining = MAX_TOTAL

    async def file(self, reference: FileUrl, count: int) -> tuple[str, bytes]:
        """Return the media type and the bytes of a file that occurs `count` times, first at
        `reference`. Raises `RequestError`."""
        try:
            async with asyncio.timeout_at(self._deadline), self._semaphore:
                data = await self._follow(httpx.URL(reference.url), reference.kind, count)
        except _FetchError as error:
            raise _fetch_error(reference, str(error)) from None
        except TimeoutError:
            reason = f"it was not received within {self._timeout:g} seconds"
            raise _fetch_error(reference, reason) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
            raise _fetch_error(reference, _NOT_ALLOWED) from None
        if reference.kind == "document":
            if not is_pdf(data):
                raise _fetch_error(reference, "it is not a PDF")
            return PDF, data
        image_type = media_type(data)
        if image_type is None:
            raise _fetch_error(reference, "it is not a PNG, JPEG, GIF or WebP image")
        return image_type, data

    async def _follow(self, url: httpx.URL, kind: Kind, count: int) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            async with self._open(url, "image/*" if kind == "image" else PDF) as response:
                if not response.has_redirect_location:
                    limit = MAX_IMAGE if kind == "image" else MAX_TOTAL
                    return await self._read(response, limit, count)
                url = url.join(response.headers["location"])
        raise _FetchError(f"its URL redirects more than {MAX_REDIRECTS} times")

    @asynccontextmanager
    async def _open(self, url: httpx.URL, accept: str) -> AsyncIterator[httpx.Response]:
        """Provide the response from the first address that accepts a connection.

        The request goes to the checked address, because a second lookup might return a different
        one. The certificate is still verified against the host name. Each response has its own
        client, so that no cookie or connection is shared between hosts.
        """
        host = fetchable_host(url)
        addresses = await self._look_up(host) if host else []
        if not (host and all(map(is_public, addresses))):
            raise _FetchError(_NOT_ALLOWED)
        async with self._make_client() as client:
            for address in addresses[:_MAX_ADDRESSES]:
                request = client.build_request(
                    "GET",
                    url.copy_with(host=address),
                    headers={
                        "host": url.netloc.decode("ascii"),
                        "accept": accept,
                        "accept-encoding": "identity",
                    },
                    extensions={"sni_hostname": host},
                )
                try:
                    response = await client.send(request, stream=True)
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    continue
                try:
                    yield response
                finally:
                    await response.aclose()
                return
        raise _FetchError(_NOT_ALLOWED)

    async def _read(self, response: httpx.Response, limit: int, count: int) -> bytes:
        """Return the body, which may have at most `limit` bytes.

        It is not decompressed, to prevent decompression bombs.
        """
        if response.status_code != 200:
            raise _FetchError(f"its server answered with status {response.status_code}")
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            self._remaining -= len(chunk) * count
            if len(data) > limit:
                raise _FetchError(f"it is larger than {size_text(limit)}")
            if self._remaining < 0:
                raise _FetchError(
                    f"the request's files are larger than {size_text(MAX_TOTAL)} in total"
                )
        return bytes(data)


def _fetch_error(reference: FileUrl, reason: str) -> RequestError:
    kind = reference.kind
    return RequestError(
        f"The {kind} cannot be fetched: {reason}.",
        param=reference.path,
        code=f"invalid_{kind}_url",
        hint=f"Use an https URL with a public address and port 443, or send the {kind} as base64.",
    )
