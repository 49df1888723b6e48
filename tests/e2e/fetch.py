"""One HTTP request, in whatever network this process runs: JSON on stdin, JSON on stdout.

``Server.api`` runs it as ``python -m tests.e2e.fetch`` inside a network namespace.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import Any


def fetch(
    method: str, url: str, key: str | None, body: Any, once: str | None = None
) -> tuple[int, str]:
    """Status and text of the answer; ``once`` is the ``Idempotency-Key``.

    Raises:
        OSError: nobody answers there.
    """
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    if once is not None:
        headers["Idempotency-Key"] = once
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def main() -> int:
    """Fetch what stdin asks for."""
    try:
        answer = fetch(**json.load(sys.stdin))
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
