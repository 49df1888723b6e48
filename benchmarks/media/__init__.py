"""Our server against Janus, with the same synthetic calls: `python -m benchmarks.media --help`."""
