"""Google's Gemini API.

Source: Google's Gemini API reference, https://ai.google.dev/api, and the source code of its SDKs,
google-genai for Python 3.6 and @google/genai 2.32.
"""
