"""People: the consult's lifecycle, the queue, the messages, the two socket.io namespaces."""
