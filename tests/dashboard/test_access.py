"""Who may see the dashboard's data, and who may change it."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from litestar.exceptions import NotFoundException

from copilot_proxy.budget.limits_file import path_for, read
from copilot_proxy.dashboard.login_codes import make_code
from copilot_proxy.routes.dashboard import _file
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.dashboard.conftest import NAMED_KEY, OWNER_KEY, PAGE, events


@pytest.mark.parametrize("cookie", [None, "copilot-proxy-00000000=1999999999.e30.x", "x=y"])
def test_data_needs_a_key(locked: Proxy, cookie: str | None) -> None:
    """Without a key or a cookie, no data is shown, and nothing can be changed."""
    headers = {**PAGE, **({"cookie": cookie} if cookie else {})}
    with locked.client(headers=headers) as client:
        for name in ("spent", "requests", "request?id=x", "events", "nothing", "raise", "logout"):
            method = "POST" if name in ("raise", "logout") else "GET"
            answer = client.request(method, f"/dashboard/{name}")
            assert (401, "invalid_api_key") == (answer.status_code, answer.json()["error"]["code"])
            assert "set-cookie" not in answer.headers


def sign_in(client: httpx.Client, **body: str) -> httpx.Response:
    return client.post("/dashboard/login", json=body, headers=PAGE)


def test_signing_in(locked: Proxy) -> None:
    """The cookie opens the dashboard and nothing else; signing out invalidates the cookie."""
    with locked.client() as client:
        wrong = sign_in(client, key="wrong-key")
        right = sign_in(client, key=OWNER_KEY)
        cookie = right.headers["set-cookie"]
        seen = client.get("/dashboard/spent")
        header = {"cookie": cookie.partition(";")[0]}
        elsewhere = client.get("/v1/models", headers=header)
        out = client.post("/dashboard/logout", json={}, headers=PAGE)
        after = client.get("/dashboard/spent")

    assert (401, "invalid_api_key") == (wrong.status_code, wrong.json()["error"]["code"])
    assert "set-cookie" not in wrong.headers
    for part in ("HttpOnly", "SameSite=Strict", "Path=/dashboard", "Max-Age=43200"):
        assert part in cookie
    assert OWNER_KEY not in cookie
    assert (200, 401) == (seen.status_code, elsewhere.status_code)
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert 401 == after.status_code


def test_a_forged_cookie(locked: Proxy) -> None:
    """A cookie for another key, or with an extended expiry, is refused."""
    with locked.client() as client:
        cookie = sign_in(client, key=NAMED_KEY).headers["set-cookie"].partition(";")[0]
        client.cookies.clear()
        name, _, value = cookie.partition("=")
        expires, owner, signature = value.split(".")
        forged = [
            f"{name}={int(expires) + 1}.{owner}.{signature}",
            f"{name}={expires}..{signature}",
            f"{name}={expires}.{owner}.",
            f"{name}={expires}.{owner}",
            f"{name}=",
        ]
        statuses = [
            client.get("/dashboard/spent", headers={"cookie": one}).status_code
            for one in (cookie, *forged)
        ]

    assert [200, *[401] * 5] == statuses


def test_a_code_works_once(locked: Proxy) -> None:
    """The code of `copilot-proxy dashboard` signs the owner in once."""
    code = make_code(locked.settings.state_dir)
    with locked.client() as client, locked.client() as other:
        first, second = sign_in(client, code=code), sign_in(other, code=code)
        guessed = sign_in(other, code="x" * 43)
        seen = client.get("/dashboard/requests").json()["requests"]

    assert (200, 401, 401) == (first.status_code, second.status_code, guessed.status_code)
    assert {"laptop", "scripts"} == {one["key"] for one in seen}


def test_an_old_code(locked: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code expires after two minutes."""
    code = make_code(locked.settings.state_dir)
    now = time.time()
    monkeypatch.setattr("copilot_proxy.dashboard.login_codes.time.time", lambda: now + 121)
    with locked.client() as client:
        assert 401 == sign_in(client, code=code).status_code


def test_a_named_key_shows_its_own_requests(
    locked: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a named key, the page hides the data of other keys, and cannot raise the budget."""
    (tmp_path / "codex").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with locked.client(headers={"x-api-key": OWNER_KEY}) as owner, events(owner) as stream:
        known = stream.next("overview")["clients"]
    with locked.client() as client:
        mine = client.get("/dashboard/requests", headers={"x-api-key": OWNER_KEY}).json()
        theirs = next(one for one in mine["requests"] if one["key"] == "laptop")
        sign_in(client, key=NAMED_KEY)
        listed = client.get("/dashboard/requests", params={"key": "laptop"}).json()["requests"]
        other = client.get("/dashboard/request", params={"id": theirs["request_id"]})
        spent = client.get("/dashboard/spent", params={"by": "key"}).json()["spent"]
        with events(client) as stream:
            server = stream.next("server")
            overview = stream.next("overview")
            rows = stream.next("rows")
        raised = client.post("/dashboard/raise", json={"credits": "100"}, headers=PAGE)

    assert "scripts" == server["key"]
    assert {"scripts"} == {one["key"] for one in (*listed, *rows)} == {one["name"] for one in spent}
    assert 404 == other.status_code
    assert [] == overview["sessions"]
    # Installed programs are shown only to the owner.
    assert {"codex"} <= {one["name"] for one in known if one["installed"]}
    assert not [one for one in overview["clients"] if one["installed"]]
    assert {"llm", "aider"} == {one["name"] for one in overview["clients"] if one["last_seen"]}
    assert (403, "key_not_allowed") == (raised.status_code, raised.json()["error"]["code"])


def test_raising_the_budget(locked: Proxy) -> None:
    """The owner can raise a budget; the page shows it immediately."""
    with locked.client(headers={"x-api-key": OWNER_KEY}) as client, events(client) as stream:
        stream.next("overview")
        raised = client.post("/dashboard/raise", json={"credits": "50"}, headers=PAGE)
        overview = stream.next("overview")

    assert 200 == raised.status_code
    assert 1050 * 10**9 == overview["budget"][0]["allowed"]


def test_raising_one_limit(simulator: Simulator) -> None:
    """With a period, only that period's limit is raised; the page explains an invalid amount."""
    settings = settings_at(simulator, ledger=True, budget=["500/day", "100/session"])
    with Proxy(settings) as server, server.client(headers=PAGE) as client:
        body = {"credits": "50", "per": "session"}
        assert 200 == client.post("/dashboard/raise", json=body).status_code
        wrong = [
            client.post("/dashboard/raise", json={**body, "credits": text})
            for text in ("0", "-5", "abc", "")
        ]
        unknown = client.post("/dashboard/raise", json={**body, "per": "week"})
    limits = read(path_for(settings.ledger_file))

    assert [(50 * 10**9, "session")] == [(one.nano, one.per) for one in limits.raises]
    assert {(400, "credits")} == {(one.status_code, one.json()["error"]["param"]) for one in wrong}
    assert all("such as 100." in one.text and "/schema" not in one.text for one in wrong)
    assert (400, "per") == (unknown.status_code, unknown.json()["error"]["param"])


def test_raising_the_budget_twice_at_once(locked: Proxy) -> None:
    """Of two simultaneous raises, neither is lost."""
    with locked.client(headers={"x-api-key": OWNER_KEY, **PAGE}) as client:
        with ThreadPoolExecutor(8) as threads:
            raises = [
                threads.submit(client.post, "/dashboard/raise", json={"credits": "10"})
                for _ in range(16)
            ]
        assert {200} == {one.result().status_code for one in raises}
    limits = read(path_for(locked.settings.ledger_file))

    assert [10 * 10**9] * 16 == [one.nano for one in limits.raises]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"credits": "-1"}, 400, "amount"),
        ({"credits": "1e99"}, 400, "amount"),
        ({"credits": 5}, 400, "body"),
        ([], 400, "body"),
        ({"credits": "5", "kind": "file"}, 400, "kind"),
        ({"credits": "5", "kind": "client", "name": "nobody"}, 400, "no budget for the client"),
    ],
)
def test_wrong_changes(locked: Proxy, body: object, status: int, says: str) -> None:
    """An invalid amount or scope is refused with a reason."""
    with locked.client(headers={"x-api-key": OWNER_KEY, **PAGE}) as client:
        answer = client.post("/dashboard/raise", json=body)

    assert status == answer.status_code
    assert says in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**PAGE, "origin": "http://localhost:3000"},
        {**PAGE, "origin": "https://evil.example"},
        {**PAGE, "sec-fetch-site": "cross-site"},
        {**PAGE, "host": "evil.example"},
    ],
    ids=str,
)
def test_changes_by_other_pages(simulator: Simulator, headers: dict[str, str]) -> None:
    """Other pages may not make changes, even if they are allowed to use the API."""
    settings = settings_at(
        simulator, ledger=True, budget="1/day", cors_origins=("http://localhost:3000",)
    )
    with Proxy(settings) as server, server.client() as client:
        answer = client.post("/dashboard/raise", json={"credits": "100"}, headers=headers)
        read = client.get("/dashboard/requests", headers=headers)
        same = client.post(
            "/dashboard/raise", json={"credits": "1"}, headers={**PAGE, "origin": server.url}
        )

    assert 403 == answer.status_code
    assert (200 if not headers else 403) == read.status_code
    assert "access-control-allow-origin" not in read.headers
    assert 200 == same.status_code


@pytest.mark.parametrize(
    "name",
    ["x%00.js", "..%5Capp.js", "x%5C..%5C..%5Cdashboard%5Cstatic%5Capp.js", "C:app.js", "%2E.js"],
)
def test_only_the_pages_own_files(locked: Proxy, name: str) -> None:
    """No file name leads out of the folder or causes an internal error."""
    with locked.client() as client:
        assert 404 == client.get(f"/dashboard/{name}").status_code
        assert 200 == client.get("/dashboard/app.js").status_code


def test_file_names_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, a backslash separates folders."""
    found: list[Path] = []

    def read(path: Path) -> bytes:
        found.append(path)
        return b""

    monkeypatch.setattr("pathlib.Path.read_bytes", read)
    with pytest.raises(NotFoundException):
        _file.__wrapped__("x\\..\\..\\notes.txt")
    assert [] == found


@pytest.mark.parametrize(
    ("body", "status"),
    [(b'{"x":' + b"[" * 60_000, 400), (b'{"key":"%b"}' % (b"x" * 70_000), 413)],
    ids=["deep", "large"],
)
def test_malformed_sign_ins(
    locked: Proxy, body: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Anyone may send a malformed sign-in, which must be cheap and cause no internal error."""
    with locked.client() as client:
        answer = client.post("/dashboard/login", content=body, headers=PAGE)
    assert status == answer.status_code
    assert [] == [record for record in caplog.records if record.exc_info]


def test_strangers_take_no_slots(simulator: Simulator) -> None:
    """A slow sign-in does not delay requests with a key."""
    limits = {"max_concurrency": 1, "max_queue": 0}
    with Proxy(settings_at(simulator, api_key=OWNER_KEY, **limits)) as proxy:
        address = urlsplit(proxy.url)
        with socket.create_connection((address.hostname or "", address.port or 0), 60) as slow:
            slow.sendall(
                b"POST /dashboard/login HTTP/1.1\r\nhost: localhost\r\nx-copilot-proxy-page: 1\r\n"
                b"expect: 100-continue\r\ncontent-length: 9\r\n\r\n"
            )
            # The server has begun to read the body.
            assert b" 100 " in slow.recv(100)
            with proxy.client(headers={"x-api-key": OWNER_KEY}) as client:
                asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
                assert 200 == client.post("/v1/chat/completions", json=asked).status_code
