"""Google's Gemini API.

Sources: Google's Gemini API reference, https://ai.google.dev/api, and the source code of its SDKs,
google-genai 3.6 for Python and @google/genai 3.3.
"""
