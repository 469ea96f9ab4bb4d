"""Beta names: the supported ones are sent, and the required ones are added."""

import pytest

from copilot_proxy.formats.messages.betas import select_betas
from copilot_proxy.formats.types import Json
from tests.formats.messages.samples import TOOL, request, user

INTERLEAVED = "interleaved-thinking-2025-05-14"
CONTEXT = "context-management-2025-06-27"
TOOLS = "advanced-tool-use-2025-11-20"
SYSTEM = "mid-conversation-system-2026-04-07"


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
    ],
)
def test_betas(headers: list[str], fields: Json, selected: list[str], dropped: list[str]) -> None:
    """A name that Copilot rejects is dropped, and a name that the request requires is added."""
    assert (selected, dropped) == select_betas(headers, {**request(), **fields})
