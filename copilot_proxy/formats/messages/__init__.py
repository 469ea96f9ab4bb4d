"""Anthropic's Messages API, for clients that use it and for Claude models on Copilot.

Source of the formats: https://platform.claude.com/docs/en/api/messages

A request to a model that Copilot serves on this API goes through `request_to_model`, and the
response through `stream_repair`. For other models, `request_to_chat` translates the request to Chat
Completions, and `stream_from_chat` translates the chunks of the response to events.
`request_from_chat` and `stream_to_chat` do the reverse, for clients of other APIs that use a Claude
model.
"""
