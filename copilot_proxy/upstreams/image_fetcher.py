"""Fetches the images that a request names by address: only where the person has switched it on.

Copilot fetches none. The addresses are chosen by whoever has a word in the conversation, so they
must lead nowhere that only this machine can reach: it is https on port 443 alone, every address
that a name stands for must be public, the connection goes to the very address that was checked, and
so at each redirect. What lies at a refused address is not told: it is the same sentence for all.
"""

import asyncio
import base64
import urllib.request
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from copilot_proxy.auth.http_clients import make_anonymous_client
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.images import is_address, media_type
from copilot_proxy.upstreams.public_addresses import host_of, is_public, look_up

Json = dict[str, Any]
LookUp = Callable[[str], Awaitable[list[str]]]
"""The addresses that a name stands for; raises `OSError` or `ValueError` if there are none."""

LARGEST: Final = 3 * 1024 * 1024
"""Bytes of one image: more than these no model of Copilot's takes."""
LARGEST_SUM: Final = 20 * 1024 * 1024
"""Bytes of all images of a request, each counted as often as it stands there."""
MOST: Final = 32
"""Different addresses in a request."""
TIMEOUT: Final = 10.0
"""Seconds for all images of a request."""
REDIRECTS: Final = 3
_AT_ONCE: Final = 4
_MOST_ADDRESSES: Final = 3

_ROOTS: Final = ("messages", "input")
_INNER: Final = ("content", "output", "source")
_UNREACHABLE: Final = "its address is not one that can be fetched from"


class _Failed(Exception):
    """An image that cannot be had; the text says why."""


@dataclass(frozen=True)
class _Place:
    """Where a request names an image by its address."""

    path: str
    holder: Json
    key: str
    url: str

    def fill(self, kind: str, data: str) -> None:
        """Puts the image there in place of its address."""
        self.holder[self.key] = (
            {"type": "base64", "media_type": kind, "data": data}
            if self.key == "source"
            else f"data:{kind};base64,{data}"
        )


def _places(request: Json) -> Iterator[_Place]:
    """The places of a request of any of the three APIs, however deep, in results of tools, too."""
    pending: deque[tuple[str, Any]] = deque((name, request.get(name)) for name in _ROOTS)
    while pending:
        path, value = pending.popleft()
        if isinstance(value, list):
            pending.extend((f"{path}[{i}]", one) for i, one in enumerate(value))
        elif isinstance(value, dict):
            match value:
                case {"type": "image_url", "image_url": {"url": url} as holder} if is_address(url):
                    yield _Place(f"{path}.image_url", holder, "url", url)
                case {"type": "image_url" | "input_image", "image_url": url} if is_address(url):
                    yield _Place(f"{path}.image_url", value, "image_url", url)
                case {"type": "image", "source": {"type": "url", "url": url}} if is_address(url):
                    yield _Place(f"{path}.source", value, "source", url)
            pending.extend((f"{path}.{name}", value.get(name)) for name in _INNER)


class ImageFetcher:
    """Puts images into requests; `look_up` and `make_client` are how it reaches the world."""

    def __init__(
        self,
        look_up: LookUp = look_up,
        make_client: Callable[[], httpx.AsyncClient] = make_anonymous_client,
        timeout: float = TIMEOUT,
    ) -> None:
        self._look_up = look_up
        self._make_client = make_client
        self._timeout = timeout

    async def inline(self, request: Json) -> list[str]:
        """Replaces, in `request`, addresses by their images, and gives a note for each.

        Each address is fetched once. Raises `RequestError` (400) that names the first place of one
        that cannot be.
        """
        places: dict[str, list[_Place]] = defaultdict(list)
        for place in _places(request):
            places[place.url].append(place)
            if len(places) > MOST:
                raise _refusal(place.path, f"the request names more than {MOST}")
        if places and urllib.request.getproxies().keys() & {"https", "all"}:
            why = "behind a proxy (HTTPS_PROXY) it cannot be checked from where it would come"
            raise _refusal(next(iter(places.values()))[0].path, why)

        fetch = _Fetch(self._look_up, self._make_client, self._timeout)
        try:
            async with asyncio.TaskGroup() as tasks:
                images = {
                    url: tasks.create_task(fetch.image(url, at[0].path, len(at)))
                    for url, at in places.items()
                }
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        notes = []
        for url, at in places.items():
            kind, data = images[url].result()
            encoded = base64.b64encode(data).decode()
            for place in at:
                place.fill(kind, encoded)
            notes.append(f"inlined {at[0].path}: {len(data)} bytes")
        return notes


class _Fetch:
    """The images of one request, and what is left of its time and size."""

    def __init__(
        self, look_up: LookUp, make_client: Callable[[], httpx.AsyncClient], timeout: float
    ) -> None:
        self._look_up = look_up
        self._make_client = make_client
        self._timeout = timeout
        self._deadline = asyncio.get_running_loop().time() + timeout
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._left = LARGEST_SUM

    async def image(self, url: str, path: str, times: int) -> tuple[str, bytes]:
        """The type and bytes of the image that stands at `path`, and `times` times in all."""
        try:
            async with asyncio.timeout_at(self._deadline), self._slots:
                data = await self._follow(httpx.URL(url), times)
        except _Failed as failure:
            raise _refusal(path, str(failure)) from None
        except TimeoutError:
            raise _refusal(path, f"it did not come within {self._timeout:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
            raise _refusal(path, _UNREACHABLE) from None
        kind = media_type(data)
        if kind is None:
            raise _refusal(path, "what is there is no PNG, JPEG, GIF or WebP")
        return kind, data

    async def _follow(self, url: httpx.URL, times: int) -> bytes:
        for _ in range(REDIRECTS + 1):
            async with self._answer(url) as response:
                if not response.has_redirect_location:
                    return await self._read(response, times)
                url = url.join(response.headers["location"])
        raise _Failed(f"its address leads on more than {REDIRECTS} times")

    @asynccontextmanager
    async def _answer(self, url: httpx.URL) -> AsyncIterator[httpx.Response]:
        """The answer of the first address that takes a connection.

        That is asked for by the address, so that no second look-up leads elsewhere, while the
        certificate is checked against the name. A client that serves one answer alone carries no
        cookie, and no connection made for one name, over to the next.
        """
        host = host_of(url)
        addresses = await self._look_up(host) if host else []
        if not (host and all(map(is_public, addresses))):
            raise _Failed(_UNREACHABLE)
        async with self._make_client() as client:
            for address in addresses[:_MOST_ADDRESSES]:
                request = client.build_request(
                    "GET",
                    url.copy_with(host=address),
                    headers={
                        "host": url.netloc.decode("ascii"),
                        "accept": "image/*",
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
        raise _Failed(_UNREACHABLE)

    async def _read(self, response: httpx.Response, times: int) -> bytes:
        """The body as it is on the wire, so that nothing small unpacks to something huge."""
        if response.status_code != 200:
            raise _Failed(f"its server answered {response.status_code}")
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            self._left -= len(chunk) * times
            if len(data) > LARGEST:
                raise _Failed(f"it is larger than {LARGEST} bytes")
            if self._left < 0:
                raise _Failed(f"the request's images are larger than {LARGEST_SUM} bytes together")
        return bytes(data)


def _refusal(path: str, why: str) -> RequestError:
    return RequestError(
        f"The image cannot be fetched: {why}.",
        param=path,
        code="invalid_image_url",
        hint="Images are fetched from public addresses alone, by https on its usual port. "
        "Or send the image itself, as base64.",
    )
