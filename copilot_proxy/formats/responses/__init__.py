"""OpenAI Responses: passed on to models that support it, otherwise translated via Chat Completions.

Source of the formats: https://platform.openai.com/docs/api-reference/responses
"""
