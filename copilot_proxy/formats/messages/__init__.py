"""Anthropic's Messages API: what its clients send and get, and Claude's own API at Copilot.

Source of the shapes: https://platform.claude.com/docs/en/api/messages

A request to a model that speaks this API goes through `native`. Otherwise `to_chat` makes a chat
completions request of it and `from_chunks` makes events of the answer. `from_chat` and `to_chunks`
do the same in the other direction, for clients of other APIs that ask a Claude.
"""
