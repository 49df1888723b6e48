"""A guest's link: the one moment at which its token is known here."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from signaling import events as ev
from signaling import messages as m

PREFIX: Final = "g."
"""Guests' tokens begin so, patients' never do: by this the page knows which one it is."""


def new_invitation(command: m.Invite, expires_at: int) -> tuple[ev.Invited, str]:
    """The event that invites a guest, and the token of their link, which is stored nowhere.

    Args:
        expires_at: Until when the link has to be used first, epoch milliseconds.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    link_hash = hashlib.sha256(token.encode()).hexdigest()
    guest_id = f"guest-{secrets.token_hex(8)}"
    return ev.Invited(guest_id, command.role, command.name, link_hash, expires_at), token
