"""Seconds and money: meter, tariffs, rating, records, ledger and feed."""
