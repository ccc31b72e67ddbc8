from importlib.resources import files


def colour():
    return files(__name__).joinpath("colour.txt").read_text().strip()
