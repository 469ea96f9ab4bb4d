"""OpenAI's Completions API, the one before Chat Completions: a prompt and its continuation.

Only clients speak it. Source: https://platform.openai.com/docs/api-reference/completions
"""
