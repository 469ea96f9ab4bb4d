"""Names for decoded JSON, so that signatures show what a dictionary contains.

The types are dictionaries rather than classes, because a server also receives unknown fields.
"""

from typing import Any

Json = dict[str, Any]
"""A part of a request or answer that has no name of its own."""
Schema = dict[str, Any]
"""A JSON schema."""
Model = dict[str, Any]
"""A model's entry in the catalogue."""
Quirks = dict[str, Any]
"""The faults that change an answer: name -> the value that the fault was turned on with."""
CopilotUsage = dict[str, Any]
"""The price of an answer: ``total_nano_aiu`` and ``token_details``."""

ChatRequest = dict[str, Any]
"""A request to ``/chat/completions``."""
ChatMessage = dict[str, Any]
"""A message of a chat completions request."""
ChatDelta = dict[str, Any]
"""The part of a chunk that is added to the answer."""
ChatCall = dict[str, Any]
"""A tool call of chat completions, or a fragment of one."""
ChatChunk = dict[str, Any]
"""An event of a chat completions stream."""
ChatCompletion = dict[str, Any]
"""A whole chat completions answer."""
ChatUsage = dict[str, Any]
"""The token counts of chat completions, whose details depend on the vendor."""

MessagesRequest = dict[str, Any]
"""A request to ``/v1/messages``."""
ClaudeMessage = dict[str, Any]
"""A message of a Messages request, or a tool result: an object with `content`."""
Block = dict[str, Any]
"""A content block: text, image, thinking, tool_use ..."""
Thinking = dict[str, Any]
"""The field ``thinking`` of a Messages request."""
MessagesAnswer = dict[str, Any]
"""A whole Messages answer."""
MessagesUsage = dict[str, Any]
"""The token counts of a Messages answer."""

ResponsesRequest = dict[str, Any]
"""A request to ``/responses``, which may also be a message on a WebSocket."""
Item = dict[str, Any]
"""An item of a Responses request's input, or of an answer's output."""
Part = dict[str, Any]
"""A content part of an item."""
Response = dict[str, Any]
"""A whole Responses answer."""
ResponsesUsage = dict[str, Any]
"""The token counts of a Responses answer."""
OfferedTool = dict[str, Any]
"""A tool in a request: a function, custom tool, namespace or search."""

EmbeddingsRequest = dict[str, Any]
"""A request to ``/embeddings``."""
QuotaSnapshot = dict[str, Any]
"""One entry of ``quota_snapshots``."""
AccountBody = dict[str, Any]
"""The answer from ``/copilot_internal/user``."""
