"""Secrets are not shown, and tokens are masked in text."""

import dataclasses
import json
import pickle
import traceback

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.masking import Secret, StreamMask, mask
from tests.selection import every_value, examples

TOKEN = "ghu_16C7e42F292c6912E7710c838347Ae178B4a"
COPILOT = (
    "tid=0f3c9a;exp=1795331400;sku=plus;proxy-ep=proxy.individual.githubcopilot.com;st=dotcom"
    ":9f8e7d6c5b4a"
)


@every_value
@pytest.mark.parametrize(
    "token",
    [
        TOKEN,
        "gho_16C7e42F292c6912E7710c838347Ae178B4a",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
        "ghr_1B4a2e77838347a7E420ce178F2E7c6912E169246c34E1ccbF66C46812d16D5B1A9Dc86A1498",
        "github_pat_11AAAAAAA0abcdefghij_klmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ012345",
        COPILOT,
    ],
)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", "***"),
        ("a {} b", "a *** b"),
        ("'{}'", "'***'"),
        ('{{"token": "{}"}}', '{{"token": "***"}}'),
        ("Authorization: Bearer {}", "Authorization: Bearer ***"),
        ("authorization: bearer {}\nnext", "authorization: bearer ***\nnext"),
        ("AUTHORIZATION: BEARER {} next", "AUTHORIZATION: BEARER *** next"),
        ("authorization: token {}", "authorization: token ***"),
        ("?access_token={}", "?access_token=***"),
        ("<{}>", "<***>"),
    ],
)
def test_tokens_are_masked(token: str, text: str, expected: str) -> None:
    """Every kind of token is masked anywhere in a string, and nothing else is."""
    assert expected.replace("{{", "{").replace("}}", "}") == mask(text.format(token))


def test_any_bearer_is_masked() -> None:
    """Any value after Bearer is masked."""
    assert "Bearer *** and" == mask("Bearer sk-local-0123456789 and")


def test_a_bearer_token_is_masked_completely() -> None:
    """A token is masked completely, even if part of it looks like another kind."""
    assert "Bearer ***" == mask("Bearer ghu_16C7e42F.eyJhbGciOi-J9_x.abc")


def test_all_tokens_of_a_text_are_masked() -> None:
    """Several tokens in one text are all masked."""
    assert "*** or *** or Bearer ***" == mask(f"{TOKEN} or {COPILOT} or Bearer {TOKEN}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello, world.",
        "the high_score of ghosts",
        "ghu_",
        "github_pat_ tokens are refused",
        "latid=5",
        "the bearer of this ring",
        "a token expired",
        "gpt-4o said: ***",
    ],
)
def test_texts_without_tokens_are_not_changed(text: str) -> None:
    """Text without tokens is not changed."""
    assert text == mask(text)


PARTS = st.sampled_from(
    ["ghu_", "github_pat_", "abcd", "tid=", "Bearer ", "token ", ";:", " ", "'", ".", "-", "***"]
)


@examples(200)
@given(st.lists(PARTS, max_size=8))
def test_masking_is_idempotent(parts: list[str]) -> None:
    """Masking a string twice is the same as masking it once."""
    once = mask("".join(parts))

    assert once == mask(once)


@examples(100)
@given(st.text(max_size=10), st.text(max_size=10))
def test_tokens_are_masked_in_any_surroundings(before: str, after: str) -> None:
    """Tokens are masked whatever surrounds them."""
    assert TOKEN[4:] not in mask(before + TOKEN + after)


@pytest.mark.parametrize(
    "written",
    [
        "aZ/09+opaque==",
        "az/09+OPAQUE==",
        "aZ/09%2Bopaque%3D%3D",
        "aZ%2F09%2Bopaque%3D%3D",
        "aZ\\/09+opaque==",
        "aZ/09+opaque\\u003d\\u003d",
    ],
)
def test_secrets_in_use_are_masked_by_value(written: str) -> None:
    """A secret is masked in all its forms while it is in use."""
    secret = Secret("aZ/09+opaque==")

    assert "no access with *** here" == mask(f"no access with {written} here")
    del secret
    assert written in mask(f"no access with {written} here")


def test_short_secrets_are_not_masked_by_value() -> None:
    """A key that could be an ordinary word does not mask that word everywhere."""
    secret = Secret("proxy")

    assert "copilot-proxy" == mask("copilot-proxy")
    assert secret


def test_a_copy_of_a_secret_is_masked() -> None:
    """A secret that is sent to another process is masked there as well."""
    copied = pickle.dumps(Secret("opaque-0123456789"))
    assert "opaque-0123456789" == mask("opaque-0123456789")

    secret = pickle.loads(copied)  # noqa: S301

    assert "***" == mask("opaque-0123456789")
    assert secret


@pytest.mark.parametrize("size", [100, 64 * 1024 + 10, 200_000])
def test_a_secret_in_use_is_masked_wherever_a_stream_is_cut(size: int) -> None:
    """A secret in a long text without quotes is masked, wherever the text is split."""
    secret = Secret("opaque-0123456789")
    text = b"x" * size + b"opaque-0123456789" + b"y" * 70_000
    for at in range(size - 3, size + 21, 4):
        stream = StreamMask()
        out = stream.feed(text[:at]) + stream.feed(text[at:]) + stream.end()
        assert text.replace(b"opaque-0123456789", b"***") == out
    assert secret


@dataclasses.dataclass
class Holder:
    """An object that holds a secret, as settings do."""

    secret: Secret


def test_a_secret_is_not_shown() -> None:
    """No conversion of a secret to text shows it."""
    secret = Secret(TOKEN)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r}",
        "%r %s" % (secret, secret),  # noqa: UP031 - that is the way to try
        repr([secret]),
        repr({secret: secret}),
        repr(Holder(secret)),
        repr(dataclasses.asdict(Holder(secret))),
        ascii(secret),
    ]

    assert not [text for text in shown if TOKEN[4:] in text]
    assert "Secret('***')" == repr(secret)


@pytest.mark.parametrize("encode", [json.dumps, msgspec.json.encode])
def test_a_secret_is_not_encoded(encode: object) -> None:
    """Encoding a secret as JSON causes an error that does not show it."""
    with pytest.raises(TypeError) as caught:
        encode({"key": Secret(TOKEN)})  # type: ignore[operator]

    assert TOKEN[4:] not in "".join(traceback.format_exception(caught.value))


def test_reveal_returns_the_value() -> None:
    """`reveal` returns the value."""
    assert TOKEN == Secret(TOKEN).reveal()


def test_secrets_compare_by_value() -> None:
    """Secrets compare by value, an empty secret is false, and no secret equals a string."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert 1 == len({Secret("a"), Secret("a")})
    assert Secret("a")
    assert not Secret("")
    assert "Secret('')" == repr(Secret(""))


@given(st.data())
def test_a_stream_is_masked_wherever_it_is_cut(data: st.DataObject) -> None:
    """A stream is masked like the whole text, however it is split."""
    words = st.sampled_from(
        [TOKEN, f"Bearer {TOKEN}", "tid=abc;exp=1:mac", "gh", '"', "\n", " ", "é", "x" * 40, "tid"]
    )
    text = "".join(data.draw(st.lists(words, max_size=12)))
    whole = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    stream = StreamMask()
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    masked = b"".join([*map(stream.feed, pieces), stream.end()])
    assert masked.decode() == mask(text)


def test_long_runs_of_letters_are_passed_on() -> None:
    """A long run of letters, such as image data, is passed on; a secret after it is masked."""
    stream = StreamMask()
    out = b"".join(stream.feed(b"A" * 10_000) for _ in range(50))
    assert len(out) > 400_000
    # Not `TOKEN`, which other tests put in use: its end would then be known.
    token = b"ghu_" + b"Un1" * 12
    out += stream.feed(b"," + token) + stream.feed(b"zz") + stream.end()
    assert out == b"A" * 500_000 + b",***"
    assert stream.feed(b"tid=" + b"a" * 2_000_000) == b"***"


def test_bytes_that_are_not_utf8_are_not_changed() -> None:
    """Bytes that are not UTF-8 are not changed."""
    stream = StreamMask()
    junk = bytes(range(256)) * 3
    assert stream.feed(junk) + stream.end() == junk
