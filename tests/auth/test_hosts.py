"""The hosts to which a token may be sent."""

import pytest

from copilot_proxy.auth import hosts
from copilot_proxy.errors import SignInError, UsageError
from copilot_proxy.settings import Settings, load_settings

DEFAULTS = Settings()


def settings(**environ: str) -> Settings:
    return load_settings(environ={f"COPILOT_PROXY_{k}": v for k, v in environ.items()})


@pytest.mark.parametrize(
    "pasted",
    [
        "acme.ghe.com",
        "https://acme.ghe.com/",
        "https://acme.ghe.com/login/device",
        "http://acme.ghe.com",
        "api.acme.ghe.com",
        "copilot-api.acme.ghe.com",
        "https://copilot-api.acme.ghe.com/",
        "  ACME.GHE.COM \n",
        "acme.ghe.com:443",
        "acme.ghe.com.",
    ],
)
def test_any_url_of_a_tenant_is_accepted(pasted: str) -> None:
    """Any URL or host of a GHE.com tenant is read as the tenant."""

    assert "acme.ghe.com" == hosts.normalize(pasted)


@pytest.mark.parametrize(
    "pasted",
    ["github.com", "https://github.com/", "GitHub.com", "www.github.com", "api.github.com"],
)
def test_any_url_of_github_com_is_accepted(pasted: str) -> None:
    """Any URL or host of github.com is read as github.com."""

    assert "github.com" == hosts.normalize(pasted)


@pytest.mark.parametrize(
    "pasted",
    [
        "",
        "ghe.com",
        ".ghe.com",
        "https://ghe.com/",
        "a.b.ghe.com",
        "api.a.b.ghe.com",
        "acme.ghe.com.evil.example",
        "evil.example",
        "evilghe.com",
        "https://evil.example/acme.ghe.com",
        "https://evil.example#.ghe.com",
        "https://github.com@evil.example",
        "evil.example\\.ghe.com",
        "-acme.ghe.com",
        "ac me.ghe.com",
        "github.com.evil.example",
        "https://[acme.ghe.com",
        "http://127.0.0.1:8000",
    ],
)
def test_any_other_host_is_refused_with_an_example(pasted: str) -> None:
    """Hosts other than github.com and tenants of ghe.com are refused."""
    with pytest.raises(UsageError) as caught:
        hosts.normalize(pasted)

    assert "acme.ghe.com" in str(caught.value.hint)
    assert 2 == caught.value.exit_code


def test_githubs_addresses() -> None:
    """github.com has a separate address for each of its three services."""
    expected = hosts.Addresses(
        "https://github.com", "https://api.github.com", "https://api.githubcopilot.com"
    )

    assert expected == hosts.addresses("github.com", DEFAULTS)


def test_a_tenants_addresses() -> None:
    """A tenant's addresses are all under its host name."""
    expected = hosts.Addresses(
        "https://acme.ghe.com", "https://api.acme.ghe.com", "https://copilot-api.acme.ghe.com"
    )

    assert expected == hosts.addresses("acme.ghe.com", DEFAULTS)


def test_url_settings_take_precedence_over_the_host() -> None:
    """A URL setting takes precedence, even if it repeats the default."""
    ours = settings(
        GITHUB_URL="https://github.com",
        GITHUB_API_URL="http://127.0.0.1:1",
        COPILOT_API_URL="http://127.0.0.1:2",
    )
    expected = hosts.Addresses("https://github.com", "http://127.0.0.1:1", "http://127.0.0.1:2")

    assert expected == hosts.addresses("acme.ghe.com", ours)


def test_settings_without_sources_count_as_set_if_they_differ() -> None:
    """`Settings(github_url=...)` counts as set if it differs from the default."""
    ours = Settings(github_url="http://127.0.0.1:1")

    assert "http://127.0.0.1:1" == hosts.addresses("github.com", ours).web
    assert "https://api.github.com" == hosts.addresses("github.com", ours).api


def test_the_settings_host() -> None:
    """A tenant in GITHUB_URL is the host for tokens that are stored without a host."""

    assert "acme.ghe.com" == hosts.host_of(Settings(github_url="https://acme.ghe.com"))
    assert "github.com" == hosts.host_of(Settings(github_url="http://127.0.0.1:1"))


@pytest.mark.parametrize(
    "url",
    [
        "https://api.githubcopilot.com",
        "https://api.individual.githubcopilot.com",
        "https://githubcopilot.com",
        "https://api.business.githubcopilot.com:443",
        "https://API.Enterprise.GitHubCopilot.com",
    ],
)
def test_githubs_own_copilot_hosts_are_accepted(url: str) -> None:
    """githubcopilot.com and its subdomains are accepted over https."""

    assert url == hosts.check_api_url(url + "/", "github.com", DEFAULTS)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.githubcopilot.com",
        "https://api.githubcopilot.com:8443",
        "https://api.githubcopilot.com.evil.example",
        "https://evilgithubcopilot.com",
        "https://api..githubcopilot.com",
        f"https://{'a' * 64}.githubcopilot.com",
        "https://evil.example/api.githubcopilot.com",
        "https://evil.example\\.githubcopilot.com",
        "https://user@api.githubcopilot.com",
        "https://api.githubcopilot.com?x=1",
        "https://api.githubcopilot.com:port",
        "https://copilot-api.acme.ghe.com",
        "http://127.0.0.1:8000",
        "ftp://api.githubcopilot.com",
        "",
        "https://",
        "https://[::1",
    ],
)
def test_an_unknown_copilot_host_is_refused(url: str) -> None:
    """Any other host in an answer is refused, with a hint."""
    with pytest.raises(SignInError) as caught:
        hosts.check_api_url(url, "github.com", DEFAULTS)

    assert "No token was sent" in caught.value.message
    assert "COPILOT_PROXY_COPILOT_API_URL" in str(caught.value.hint)


def test_a_tenants_copilot_host_is_for_that_tenant_only() -> None:
    """One tenant's token is never sent to another tenant."""
    url = "https://copilot-api.acme.ghe.com"

    assert url == hosts.check_api_url(url, "acme.ghe.com", DEFAULTS)
    with pytest.raises(SignInError):
        hosts.check_api_url(url, "other.ghe.com", DEFAULTS)


def test_hosts_in_the_settings_are_accepted() -> None:
    """Hosts in URL settings are accepted, on any port."""
    ours = settings(GITHUB_API_URL="https://github.example", GITHUB_URL="http://127.0.0.1:1")

    assert "https://github.example:8443/x" == hosts.check_api_url(
        "https://github.example:8443/x/", "github.com", ours
    )
    assert "http://127.0.0.1:2" == hosts.check_api_url("http://127.0.0.1:2", "github.com", ours)


@pytest.mark.parametrize(
    "url", ["http://github.example", "http://localhost:2", "https://other.example"]
)
def test_hosts_similar_to_those_in_the_settings_are_refused(url: str) -> None:
    """Similar hosts, and plain http except on loopback, are refused."""
    ours = settings(GITHUB_API_URL="https://github.example", GITHUB_URL="http://127.0.0.1:1")
    with pytest.raises(SignInError):
        hosts.check_api_url(url, "github.com", ours)


def test_a_default_setting_does_not_allow_a_host() -> None:
    """The default github.com is not accepted as a Copilot API."""
    with pytest.raises(SignInError):
        hosts.check_api_url("https://github.com", "github.com", settings())


def test_the_setting_overrides_the_endpoint_of_the_answer() -> None:
    """COPILOT_API_URL overrides the endpoint in the answer."""
    ours = settings(COPILOT_API_URL="http://127.0.0.1:9")

    assert "http://127.0.0.1:9" == hosts.copilot_url("https://evil.example", {}, "github.com", ours)


def test_the_endpoint_of_the_answer_overrides_that_of_the_token() -> None:
    """`endpoints.api` takes precedence over the token's `proxy-ep` field."""
    url = hosts.copilot_url(
        "https://api.business.githubcopilot.com/",
        {"proxy-ep": "proxy.individual.githubcopilot.com"},
        "github.com",
        DEFAULTS,
    )

    assert "https://api.business.githubcopilot.com" == url


@pytest.mark.parametrize("endpoint", [None, "", "  ", 7, {"api": 1}])
def test_without_an_endpoint_that_of_the_token_is_used(endpoint: object) -> None:
    """`proxy-ep=proxy.X` in the token means https://api.X."""
    fields = {"proxy-ep": "proxy.individual.githubcopilot.com"}

    assert "https://api.individual.githubcopilot.com" == hosts.copilot_url(
        endpoint, fields, "github.com", DEFAULTS
    )


def test_an_unknown_host_in_the_token_is_refused() -> None:
    """An unknown host in the token's `proxy-ep` field is also refused."""
    with pytest.raises(SignInError):
        hosts.copilot_url(None, {"proxy-ep": "proxy.evil.example"}, "github.com", DEFAULTS)


@pytest.mark.parametrize("fields", [{}, {"proxy-ep": ""}, {"proxy-ep": "elsewhere.example"}])
def test_without_any_endpoint_the_hosts_default_is_used(fields: dict[str, str]) -> None:
    """Without an endpoint, the default API of github.com or of the tenant is used."""

    assert "https://api.githubcopilot.com" == hosts.copilot_url(
        None, fields, "github.com", DEFAULTS
    )
    assert "https://copilot-api.acme.ghe.com" == hosts.copilot_url(
        None, fields, "acme.ghe.com", DEFAULTS
    )
