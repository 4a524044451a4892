"""The one exception that users meet."""


class MindrawError(Exception):
    """What is wrong, where, and how to mend it, in one sentence.

    Commands print it to stderr and exit with code 2.
    """
