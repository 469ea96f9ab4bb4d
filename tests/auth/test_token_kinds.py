"""Recognizing the kinds of tokens."""

import pytest

from copilot_proxy.auth import token_kinds
from copilot_proxy.errors import NotSignedIn
from copilot_proxy.masking import Secret

COPILOT = Secret("tid=0f3c;exp=1795331400;sku=x;proxy-ep=proxy.individual.githubcopilot.com:9f8e")


def test_classic_tokens_are_refused_with_the_command_to_use() -> None:
    """Classic personal access tokens are refused immediately, with the command to sign in."""
    value = "ghp_abcdefgh"
    with pytest.raises(NotSignedIn) as caught:
        token_kinds.reject_classic_token(Secret(value), where="in the keyring")

    assert "in the keyring is a classic personal access token" in caught.value.message
    assert "copilot-proxy login" in str(caught.value.hint)
    assert value not in repr(caught.value)


@pytest.mark.parametrize("value", ["ghu_abc", "gho_abc", "github_pat_11A", "something else"])
def test_other_tokens_are_accepted(value: str) -> None:
    """Tokens with an unknown prefix are accepted, since GitHub may know them."""
    token_kinds.reject_classic_token(Secret(value), where="here")


def test_oauth_tokens_are_recognized_by_their_prefix() -> None:
    """Only tokens that start with `ghu_` or `gho_` are OAuth tokens."""

    assert token_kinds.is_oauth(Secret("ghu_16C7e42F292c6912E7710c838347Ae178B4a"))
    assert token_kinds.is_oauth(Secret("gho_16C7"))
    assert not token_kinds.is_oauth(Secret("ghs_16C7"))
    assert not token_kinds.is_oauth(Secret("ghu_16C7 x"))
    assert not token_kinds.is_oauth(Secret("ghu_"))
    assert not token_kinds.is_oauth(Secret("sk-ghu_16C7"))


def test_copilot_tokens_are_recognized_by_their_fields() -> None:
    """Copilot tokens are recognized by their fields `tid` and `exp`."""

    assert token_kinds.is_copilot(COPILOT)
    assert not token_kinds.is_copilot(Secret("tid=1"))
    assert not token_kinds.is_copilot(Secret("sk-local"))
    assert not token_kinds.is_copilot(Secret("tid=1;exp=2\r\nx-evil: 1"))
    assert not token_kinds.is_copilot(Secret("tid=1;exp=2;é=3"))


def test_the_fields_end_at_the_signature() -> None:
    """Text after the colon is the signature, not a field."""
    expected = {
        "tid": "0f3c",
        "exp": "1795331400",
        "sku": "x",
        "proxy-ep": "proxy.individual.githubcopilot.com",
    }

    assert expected == token_kinds.copilot_fields(COPILOT)
    assert {} == token_kinds.copilot_fields(Secret("ghu_abc:x=y"))
