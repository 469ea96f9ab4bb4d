"""OpenAI Chat Completions: the format that every other one is translated to and from.

Source: https://platform.openai.com/docs/api-reference/chat
"""
