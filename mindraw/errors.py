"""The one exception that users meet, and the one refusal that many share."""


class MindrawError(Exception):
    """What is wrong, where, and how to mend it, in one sentence.

    Commands print it to stderr and exit with code 2.
    """


def require_whole(name, value, least=1):
    """Raise a `MindrawError` unless a value is a whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise MindrawError(f"{name} is {value!r}: it must be a whole number of at least {least}")
