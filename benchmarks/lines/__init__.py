"""Calls between real browsers on bad lines: this server's beside Janus's."""
