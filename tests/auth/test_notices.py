"""Notices to the user from GitHub, in the server's log."""

import logging
from typing import Any

import pytest

from copilot_proxy.auth.notices import notice_of
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


def test_a_notice_is_logged_once(
    proxy: Proxy, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Every token repeats the notice, but only a new notice is logged."""
    caplog.set_level(logging.INFO)
    with proxy.client() as client:
        for text in ("The trial ends soon.", "The trial ends soon.", "The trial has ended."):
            simulator.state.user_notification = {"notification_id": "x", "message": text}
            simulator.state.expire_tokens()
            assert 200 == client.post("/v1/chat/completions", json=CHAT).status_code

    said = [one.getMessage() for one in caplog.records if "GitHub says" in one.getMessage()]
    assert ["GitHub says: The trial ends soon.", "GitHub says: The trial has ended."] == said


@pytest.mark.parametrize(
    ("notice", "expected"),
    [
        (None, None),
        ("odd", None),
        ({}, None),
        ({"title": "Trial"}, "Trial"),
        ({"message": 5, "url": None, "title": []}, None),
        ({"message": "a\n b", "url": "https://x"}, "a b https://x"),
    ],
)
def test_odd_notices(notice: Any, expected: str | None) -> None:
    """Malformed notices do not invalidate the token."""
    assert expected == notice_of({"user_notification": notice})
