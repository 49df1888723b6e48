"""Fuzz targets: what a peer or a stranger may send, thrown at the code that reads it first.

Each module has `target(data)`, which raises for a fault of ours, and `seeds()`. `make fuzz` runs
each with atheris; `test_short.py` replays the corpus with mutations, without it.
"""
