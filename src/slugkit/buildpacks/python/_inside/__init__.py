"""The steps of the Python buildpack that touch the app's files, run inside the build's sandbox.

A program on its own, standard library only, run by the app's interpreter (``python -I -S``): the tree may be hostile,
and in here its links lead nowhere that matters. The working directory is the tree.
"""
