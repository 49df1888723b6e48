"""Webhooks: billing systems are woken up when there are new records; the feed is the truth."""
