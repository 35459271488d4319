"""Text, compressed for a script element."""

from __future__ import annotations

import base64
import gzip


def packed(text: str) -> str:
    """Text compressed for a script element (gzip, base64); the page's own script unpacks it."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
