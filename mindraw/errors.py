"""The one exception that users meet, and the one refusal that many share."""


class MindrawError(Exception):
    """What is wrong, where, and how to mend it, in one sentence.

    Commands print it to stderr and exit with code 2.
    """


#: No count is larger: it would not fit into any memory, nor end.
MOST = 2**31 - 1


def require_whole(name, value, least=1):
    """Raise a `MindrawError` unless a value is a whole number from `least` to `MOST`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise MindrawError(f"{name} is {value!r}: it must be a whole number of at least {least}")
    if value > MOST:
        raise MindrawError(f"{name} is {value!r}: it must be at most {MOST:,}")
