"""OpenAI Chat Completions: the hub that every other format is translated to and from.

Source of the shapes: https://platform.openai.com/docs/api-reference/chat
"""
