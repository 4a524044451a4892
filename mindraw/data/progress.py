"""A progress bar for what takes minutes, where there is tqdm and a terminal."""


def shown(items, total, words):
    """Go through `items`, of which there are `total`, and show how far that has come."""
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    # disable=None: no bar where stderr is not a terminal.
    return tqdm(items, words, total, disable=None)
