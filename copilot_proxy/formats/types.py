"""Names for decoded JSON, so that signatures show which API's format a value has.

The values are dictionaries as msgspec decodes them, so that unknown fields are preserved. The
structs in each folder's `schema` list their fields.
"""

from typing import Any

Json = dict[str, Any]
"""A part of a request or response, such as a message, a tool or a content block."""

ClientRequest = dict[str, Any]
"""A request in the format of the API that the client speaks."""
ClientEvent = dict[str, Any]
"""An event of a stream, in the format of the API that the client speaks."""
ClientResponse = dict[str, Any]
"""A whole response in the format of the API that the client speaks."""
UpstreamBody = dict[str, Any]
"""A request body in the format of the API through which the model is called."""

ChatRequest = dict[str, Any]
"""A Chat Completions request: `chat_completions.schema.ChatCompletionRequest`."""
ChatChunk = dict[str, Any]
"""A chunk of a Chat Completions stream: `chat_completions.response_schema.ChatCompletionChunk`."""
ChatCompletion = dict[str, Any]
"""A whole Chat Completions response: `chat_completions.response_schema.ChatCompletion`."""
ChatUsage = dict[str, Any]
"""Token counts in the format of Chat Completions: `chat_completions.response_schema.ChatUsage`."""
CopilotUsage = dict[str, Any]
"""The cost that GitHub charges for a response: ``total_nano_aiu`` and ``token_details``."""

ResponsesRequest = dict[str, Any]
"""A Responses request: `responses.schema.ResponsesRequest`."""
ResponsesEvent = dict[str, Any]
"""An event of a Responses stream; its `type` says what it is."""
Response = dict[str, Any]
"""A whole Responses response: `responses.schema.Response`."""

MessagesRequest = dict[str, Any]
"""A Messages request: `messages.schema.MessagesRequest`."""
MessagesEvent = dict[str, Any]
"""An event of a Messages stream; its `type` says what it is."""
Message = dict[str, Any]
"""A whole Messages response: `messages.schema.Message`."""

PiAiRequest = dict[str, Any]
"""A request to pi-ai's process: `pi_ai.request_from_chat.from_chat`."""
PiAiEvent = dict[str, Any]
"""An event of pi-ai's stream, as the sidecar sends it."""

ErrorBody = dict[str, Any]
"""The body of an error response, in the format of one of the APIs."""
