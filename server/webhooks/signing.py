"""What a webhook says, and how it is signed: the Standard Webhooks specification, 1.0.0.

Pure: the secret's bytes and the time come in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from metering.chain import Head

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
AVAILABLE: Final = "records.available"
TEST: Final = "webhook.test"


def secret_of(raw: bytes) -> str:
    """The text of a secret, as its receiver keeps it."""
    return PREFIX + base64.b64encode(raw).decode()


def sign(secret: str, message_id: str, at_s: int, body: bytes) -> str:
    """One signature, with its version. ``at_s``: epoch seconds."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{at_s}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def headers(secrets: Sequence[str], message_id: str, at_s: int, body: bytes) -> Mapping[str, str]:
    """All headers of a message; signed with each secret, so that one can be replaced.

    Args:
        at_s: When this attempt is made, epoch seconds: receivers refuse what is old.
    """
    return {
        "Content-Type": "application/json",
        "User-Agent": "Wenzhen-Webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(sign(one, message_id, at_s, body) for one in secrets),
    }


def message_id(webhook_id: str, seq: int) -> str:
    """The id of the news that a ledger has reached ``seq``: the same for every attempt."""
    return "msg_" + hashlib.sha256(f"{webhook_id}:{seq}".encode()).hexdigest()[:32]


def available(organization_id: str, head: Head) -> bytes:
    """The body that says how far a ledger is settled: the same for every attempt."""
    data = {
        "organization_id": organization_id,
        "settled_through_seq": head.seq,
        "head_hash": head.hash,
    }
    return _body(AVAILABLE, head.settled_at, data)


def test(organization_id: str, webhook_id: str, timestamp: str) -> bytes:
    """The body of a message that only shows whether messages arrive."""
    return _body(TEST, timestamp, {"organization_id": organization_id, "webhook_id": webhook_id})


def _body(kind: str, timestamp: str, data: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"type": kind, "timestamp": timestamp, "data": data})
