"""OpenAI's Completions API, the predecessor of Chat Completions: a prompt and its continuation.

Only clients speak it. Source: https://platform.openai.com/docs/api-reference/completions
"""
