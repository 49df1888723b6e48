"""The process: settings, commands, HTTP, accounts, storage, and the wiring of the other three."""
