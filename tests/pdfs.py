"""A small PDF, for APIs that check it."""

import base64

PDF_BYTES = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
PDF = base64.b64encode(PDF_BYTES).decode()
"""The PDF in base64."""
PDF_URL = f"data:application/pdf;base64,{PDF}"
