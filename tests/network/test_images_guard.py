"""Which hosts a fetch may reach, what it sends, and what its errors reveal."""

from pathlib import Path

import pytest

from copilot_proxy.errors import RequestError
from copilot_proxy.network.http_clients import make_anonymous_client
from copilot_proxy.network.image_fetcher import MAX_REDIRECTS, ImageFetcher
from tests.network.internet import (
    DATA_URL,
    HOST,
    PUBLIC,
    REFUSED,
    URL,
    Internet,
    Page,
    chat,
    refusal,
)
from tests.network.internet import internet as internet  # a fixture


async def test_the_connection_goes_to_the_address_that_was_checked(internet: Internet) -> None:
    """The connection uses the checked address, even if the name then resolves differently."""
    internet.names[HOST] = [[PUBLIC], ["127.0.0.1"]]

    await internet.fetcher().inline(chat(URL))

    visit = internet.connections[0]
    assert ([HOST], PUBLIC, 443, HOST) == (
        internet.looked_up,
        visit.address,
        visit.port,
        visit.sni,
    )
    assert HOST == internet.requests[0]["host"]


async def test_an_ipv6_address(internet: Internet) -> None:
    """An image at an IPv6 address is downloaded."""
    internet.names[HOST] = [["2606:4700::1"]]

    await internet.fetcher().inline(chat(URL))

    assert "2606:4700::1" == internet.connections[0].address


async def test_the_next_address_is_tried(internet: Internet) -> None:
    """If one address of a name fails, the next one is tried."""
    internet.names[HOST] = [["8.8.8.8", PUBLIC]]
    internet.unreachable.add("8.8.8.8")

    await internet.fetcher().inline(chat(URL))

    assert ["8.8.8.8", PUBLIC] == [visit.address for visit in internet.connections]


async def test_no_cookies_or_credentials_are_sent(
    internet: Internet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A fetch sends no cookies, .netrc passwords or tokens."""
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {HOST} login me password x\nmachine {PUBLIC} login me password x")
    monkeypatch.setenv("NETRC", str(netrc))
    internet.pages["/"] = Page(
        status=302, headers={"location": "/a.png", "set-cookie": "id=1; Path=/"}
    )

    await internet.fetcher().inline(chat(f"https://{HOST}/"))

    assert [{"host", "accept", "accept-encoding", "connection", "user-agent"}] * 2 == [
        set(headers) for headers in internet.requests
    ]
    assert internet.requests[1]["user-agent"].startswith("g-copilot-proxy/")


@pytest.mark.parametrize(
    "url",
    [
        "http://pictures.example/a.png", "HTTPS://localhost/a.png", "https://127.0.0.1/a.png",
        "https://[::1]/a.png", "https://me:x@pictures.example/a.png",
        "https://pictures.example:8443/a.png", "https://", "https://１２７.0.0.1/", "https://[",
        "https://a.b/\n", "https://a..b/", "https://" + "a" * 70 + ".example/",
        "https://x.example/" + "a" * 70_000,
    ],
)  # fmt: skip
async def test_addresses_that_are_refused(internet: Internet, url: str) -> None:
    """Forbidden and malformed URLs are refused without a connection."""
    fetcher = ImageFetcher(make_client=internet.make_client)
    with pytest.raises(RequestError) as caught:
        await fetcher.inline(chat(DATA_URL, url))

    assert REFUSED == caught.value.message
    assert "messages[0].content[1].image_url" == caught.value.param
    assert [] == internet.connections


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], [PUBLIC, "127.0.0.1"], ["fe80::1%eth0"], ["::ffff:8.8.8.8"], []]
)
async def test_names_with_private_addresses(internet: Internet, addresses: list[str]) -> None:
    """A name with any non-public address is refused without a connection."""
    internet.names[HOST] = [addresses]

    assert REFUSED == (await refusal(internet, URL)).message
    assert [] == internet.connections


async def test_errors_reveal_nothing_about_private_networks(internet: Internet) -> None:
    """Errors do not reveal whether a failure happened in a private network.

    The failures are unknown names, private addresses, unreachable hosts and untrusted certificates.
    """

    async def unknown(host: str) -> list[str]:
        raise OSError(f"{host} is not known")

    with pytest.raises(RequestError) as nowhere:
        await ImageFetcher(unknown, internet.make_client).inline(chat(URL))
    internet.names["inside.example"] = [["192.168.0.1"]]
    internet.unreachable.add("8.8.8.8")
    internet.names["dead.example"] = [["8.8.8.8"]]
    hosts = ("inside.example", "dead.example", "untrusted.example")
    others = [await refusal(internet, f"https://{host}/a.png") for host in hosts]

    errors = {(e.message, e.hint, e.param, e.code, e.status) for e in (nowhere.value, *others)}
    assert 1 == len(errors)
    assert [] == internet.requests


async def test_redirects(internet: Internet) -> None:
    """Redirects are followed up to a limit, with a new lookup for each."""
    for i in range(MAX_REDIRECTS + 1):
        to = f"https://mirror.example/{i + 1}"
        internet.pages[f"/{i}"] = Page(b"", 302, {"location": to})
    internet.pages[f"/{MAX_REDIRECTS + 1}"] = Page()

    await internet.fetcher().inline(chat(f"https://{HOST}/1"))
    error = await refusal(internet, f"https://{HOST}/0")

    assert [HOST, *["mirror.example"] * MAX_REDIRECTS] * 2 == internet.looked_up
    assert "redirects more than 3 times" in error.message


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1/a.png", "https://localhost/a.png", "http://pictures.example/a.png",
        "//[::1]/a.png", "https://inside.example/a.png", "https://pictures.example:22/",
        "file:///etc/passwd", "https://[", "https://me:x@pictures.example/a.png",
    ],
)  # fmt: skip
async def test_redirects_to_forbidden_urls(internet: Internet, location: str) -> None:
    """Every redirect is checked like the first URL."""
    internet.names |= {"127.0.0.1": [["127.0.0.1"]], "::1": [["::1"]]}
    internet.names["inside.example"] = [["169.254.169.254"]]
    internet.pages["/a.png"] = Page(b"", 302, {"location": location})

    assert REFUSED == (await refusal(internet, URL)).message
    assert 1 == len(internet.connections)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_behind_a_proxy(
    internet: Internet, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Behind a proxy, nothing is fetched; requests without images work."""
    monkeypatch.setenv(variable, "http://me:secret@proxy.example:3128")

    error = await refusal(internet, URL)

    assert "behind a proxy" in error.message
    assert "secret" not in error.message
    assert [] == internet.looked_up
    assert [] == await internet.fetcher().inline(chat(DATA_URL))


async def test_proxy_settings_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fetcher ignores proxy settings and proxy passwords."""
    monkeypatch.setenv("HTTPS_PROXY", "no address at all")

    async with make_anonymous_client() as client:
        assert (False, {}) == (client.trust_env, client._mounts)
