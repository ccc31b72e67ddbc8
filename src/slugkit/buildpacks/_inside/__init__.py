"""The steps of the built-in packs that touch an app's files, run inside the build's sandbox; the tree is their cwd.

Programs on their own (``python -I -S``), standard library only, which know nothing of the rest of slugkit: the tree may
be hostile, and in there its links lead nowhere that matters.
"""
