"""Who sent a request: client, version and session, derived from data that clients send anyway."""

import json
from typing import Any

import pytest

from copilot_proxy.attribution import identify_client


@pytest.mark.parametrize(
    ("agent", "client", "version"),
    [
        ("claude-cli/2.1.332 (external, cli)", "claude-code", "2.1.332"),
        ("codex_exec/0.171.0 (Linux)", "codex", "0.171.0"),
        ("opencode/1.18.33", "opencode", "1.18.33"),
        ("Kilo-Code/7.7.9", "kilo", "7.7.9"),
        ("QwenCode/0.24.4 (linux; x64)", "qwen-code", "0.24.4"),
        ("GeminiCLI-x/0.61.0 (linux)", "gemini-cli", "0.61.0"),
        ("google-genai-sdk/3.6.1 gl-python/3.11", "google-genai-sdk", "3.6.1"),
        ("factory-cli/0.215.0", "droid", "0.215.0"),
        ("pi/1.6.0", "pi", "1.6.0"),
        ("OpenAI/Python 3.54.0", "openai-python", "3.54.0"),
        ("AsyncAnthropic/Python 2.14.0", "anthropic-python", "2.14.0"),
        ("python-httpx/0.28.1", "python-httpx", "0.28.1"),
        ("Mozilla/5.0 (X11; Linux x86_64)", None, None),
        ("", None, None),
        ("\x00\x1b[2J", None, None),
    ],
)
def test_clients(agent: str, client: str | None, version: str | None) -> None:
    """A client gets its usual name; a browser gets none, since it could show any page."""
    sender = identify_client({b"user-agent": agent.encode()}, {})

    assert (client, version) == (sender.client, sender.version)


@pytest.mark.parametrize(
    ("headers", "body", "session"),
    [
        ({b"x-claude-code-session-id": b"a-1"}, {"prompt_cache_key": "b"}, "a-1"),
        ({b"session-id": b"a-1"}, {}, "a-1"),
        ({b"x-session-affinity": b"ses_1"}, {}, "ses_1"),
        ({}, {"prompt_cache_key": "b"}, "b"),
        ({}, {"metadata": {"user_id": json.dumps({"session_id": "c", "device_id": "d"})}}, "c"),
        ({}, {"metadata": {"user_id": "user_1"}}, None),
        ({}, {"metadata": {"user_id": "{"}}, None),
        ({}, {"metadata": "x", "prompt_cache_key": 1}, None),
        ({}, {"prompt_cache_key": "what I told my doctor"}, None),
        ({}, {"prompt_cache_key": "x" * 129}, None),
    ],
)
def test_sessions(headers: dict[bytes, bytes], body: Any, session: str | None) -> None:
    """Only ids are recorded, never text or device ids."""
    assert session == identify_client(headers, body).session


def test_the_base_url_takes_precedence() -> None:
    """The client's name in the base URL takes precedence over the user agent."""
    sender = identify_client({b"user-agent": b"OpenAI/Python 1.0"}, {}, "cron", "reports")

    assert ("cron", None, "OpenAI/Python 1.0", "reports") == (
        sender.client,
        sender.version,
        sender.user_agent,
        sender.project,
    )
