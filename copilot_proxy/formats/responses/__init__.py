"""OpenAI's Responses API: passed through if a model supports it, otherwise translated.

Source of the formats: https://platform.openai.com/docs/api-reference/responses
"""
