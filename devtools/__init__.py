"""What dev.py is made of. host.py and server.py need the standard library only; the rest runs in the host's Python."""
