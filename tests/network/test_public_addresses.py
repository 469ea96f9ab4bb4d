"""Downloads are only allowed from public addresses."""

import socket

import httpx
import pytest

from copilot_proxy.network.public_addresses import fetchable_host, is_public, look_up


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.215.14", "100.63.255.255", "172.32.0.1", "192.169.0.1", "198.20.0.1",
     "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888"],
)  # fmt: skip
def test_public(address: str) -> None:
    """A public address is accepted."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        # this machine, and unspecified addresses
        "127.0.0.1", "127.255.255.254", "::1", "0.0.0.0", "0.1.2.3", "::",
        # private, shared (carrier-grade NAT) and link-local networks
        "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd00:ec2::254",
        "100.64.0.1", "100.100.100.200", "100.127.255.255",
        "169.254.169.254", "fe80::1", "fe80::1%eth0", "fec0::1",
        # multicast and broadcast
        "224.0.0.1", "239.255.255.250", "255.255.255.255", "ff02::1", "ff0e::1",
        # reserved, for documentation, for benchmarks
        "240.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.7", "198.18.0.1", "198.19.255.255",
        "192.0.0.1", "192.0.0.9", "192.0.0.192", "192.88.99.1",
        "2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1",
        # IPv6 notations of any IPv4 address: mapped, compatible, NAT64, 6to4, Teredo
        "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::8.8.8.8", "64:ff9b::7f00:1",
        "64:ff9b::808:808", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:808:808::1",
        "2001:0:7f00:1::1", "2001:10::1", "2001:20::1",
        # public addresses with a scope
        "2606:4700:4700::1111%eth0", "2606:4700:4700::1111%1",
        # not the canonical form of an address
        "", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "8.8.8.8 ", "[::1]",
        "８.８.８.８",
    ],
)  # fmt: skip
def test_not_public(address: str) -> None:
    """Private, local and unknown addresses are refused."""
    assert not is_public(address)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://pictures.example/a.png", "pictures.example"),
        ("https://Pictures.Example:443/a.png", "pictures.example"),
        ("https://pictures.example./a.png", "pictures.example"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("https://8.8.8.8/", "8.8.8.8"),
        ("https://[2606:4700::1]/", "2606:4700::1"),
    ],
)
def test_hosts(url: str, host: str) -> None:
    """A host is normalized both for the lookup and for the certificate."""
    assert host == fetchable_host(httpx.URL(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://pictures.example/", "HTTP://pictures.example/", "ftp://pictures.example/",
        "https://pictures.example:8443/", "https://pictures.example:80/",
        "https://me:secret@pictures.example/", "https://me@pictures.example/",
        "https://pictures.example\\@8.8.8.8/",
        "https://localhost/", "https://LOCALHOST./", "https://intranet/", "https://2130706433/",
        "https://0x7f000001/", "https://a.localhost/", "https://printer.local/",
        "https://printer.local./", "https://metadata.google.internal/", "https://nas.home.arpa/",
        "https://[fe80::1%25eth0]/", "https://a%2eb/", "https:///a.png", "https://./",
    ],
)  # fmt: skip
def test_not_plain(url: str) -> None:
    """Other schemes and ports, credentials and private names are refused."""
    assert fetchable_host(httpx.URL(url)) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_addresses_are_read_as_the_system_does(address: str) -> None:
    """An address is parsed as the system would parse it."""
    assert [address] == await look_up(address)


@pytest.mark.parametrize("odd", ["127.1", "0x7f.0.0.1", "0177.0.0.1"])
async def test_unusual_forms_of_addresses(odd: str) -> None:
    """An address in a short or unusual form is checked like the address that it stands for."""
    try:
        found = await look_up(odd)
    except OSError:
        return
    assert not any(map(is_public, found))


async def test_a_name_has_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """All addresses of a name are checked."""

    def found(host: str, port: int, *args: object, **more: object) -> list[object]:
        four = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port))
        six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        return [four, six]

    monkeypatch.setattr(socket, "getaddrinfo", found)

    assert ["8.8.8.8", "::1"] == await look_up("pictures.example")
