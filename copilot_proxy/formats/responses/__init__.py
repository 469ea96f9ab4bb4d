"""OpenAI Responses: checked, passed on to models that speak it, else translated by way of the hub.

Source of the shapes: https://platform.openai.com/docs/api-reference/responses
"""
