"""The warden: the small program, apart from the host's, that forks every sandboxed command and outlives none.

Run by ``python -I -S``: nothing but the standard library is imported here, and nothing of slugkit's outside of this
directory. ``main`` is the warden, ``init`` is what it forks for each command.
"""
