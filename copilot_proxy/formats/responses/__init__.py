"""OpenAI Responses: passed on to models that support it, else translated via Chat Completions.

Source of the shapes: https://platform.openai.com/docs/api-reference/responses
"""
