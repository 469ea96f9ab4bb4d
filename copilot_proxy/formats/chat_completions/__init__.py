"""OpenAI Chat Completions: the format that all other formats are translated to and from.

Source: https://platform.openai.com/docs/api-reference/chat
"""
