"""Beta names: supported names are sent, and required names are added."""

import pytest

from copilot_proxy.formats.messages.betas import BETAS, select_betas
from copilot_proxy.formats.types import Json
from tests.formats.messages.samples import TOOL, request, user

INTERLEAVED = "interleaved-thinking-2025-05-14"
CONTEXT = "context-management-2025-06-27"
TOOLS = "advanced-tool-use-2025-11-20"
SYSTEM = "mid-conversation-system-2026-04-07"
LONG_CACHE = "extended-cache-ttl-2025-04-11"
BINDING = "thinking-binding-controls-2026-08-01"
TURNS = "mid-conversation-output-config-2026-07-01"
LOW = {"role": "system", "content": "b", "output_config": {"effort": "low"}}
BOUND = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
HOUR = {"type": "ephemeral", "ttl": "1h"}


@pytest.mark.parametrize(
    ("headers", "fields", "selected", "dropped"),
    [
        ([], {}, [], []),
        ([""], {}, [], []),
        ([f"{CONTEXT}, {INTERLEAVED}"], {}, [INTERLEAVED, CONTEXT], []),
        ([INTERLEAVED, INTERLEAVED], {}, [INTERLEAVED], []),
        (
            [f"claude-code-20250219,{INTERLEAVED},context-1m-2025-08-07"],
            {},
            [INTERLEAVED],
            ["claude-code-20250219", "context-1m-2025-08-07"],
        ),
        (["context-1m-2025-08-07"], {"model": "claude-opus-4.6-1m"}, [], []),
        ([], {"context_management": {"edits": []}}, [CONTEXT], []),
        ([], {"tools": [TOOL, {**TOOL, "defer_loading": True}]}, [TOOLS], []),
        ([], {"messages": [user("a"), {"role": "system", "content": "b"}]}, [SYSTEM], []),
        ([], {"messages": [user("a"), LOW]}, [SYSTEM, TURNS], []),
        ([], {"tools": [{**TOOL, "cache_control": HOUR}]}, [LONG_CACHE], []),
        ([LONG_CACHE], {}, [LONG_CACHE], []),
        ([], {"thinking": BOUND}, [BINDING], []),
        ([BINDING], {"thinking": BOUND}, [BINDING], []),
        ([BINDING], {"thinking": {"type": "adaptive"}}, [], [BINDING]),
    ],
)
def test_betas(headers: list[str], fields: Json, selected: list[str], dropped: list[str]) -> None:
    """A name that Copilot rejects is dropped, and a name that the request requires is added."""
    sent, left_out = select_betas(headers, {**request(), **fields})

    assert (selected, dropped) == (sent, list(left_out))


@pytest.mark.parametrize(
    "name",
    [
        "structured-outputs-2025-11-13",
        "fallback-credit-2026-07-01",
        "mid-conversation-output-config-2026-07-01",
        "inline-tools-2026-09-15",
        "mid-conversation-tool-changes-2026-07-01",
        "advisor-tool-2026-03-01",
        "thinking-display-updates-2026-08-18",
    ],
)
def test_betas_of_official_clients_are_passed_on(name: str) -> None:
    """Betas that official clients send to Copilot are passed on if the client names them."""
    assert ([name], {}) == select_betas([name], request())


def test_every_beta_has_its_source() -> None:
    """Every beta in the table has a source, and no name has two rows."""
    names = [beta.name for beta in BETAS]

    assert all(beta.source for beta in BETAS)
    assert len(names) == len(set(names))
