"""OpenAI Responses: passed on to models that support it, else translated by way of the hub.

Source of the shapes: https://platform.openai.com/docs/api-reference/responses
"""
