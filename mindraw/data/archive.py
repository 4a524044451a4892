"""Tar archives, read member by member.

Nothing is unpacked to disk, so no member can land outside of a folder, whatever its
name; a name that tries to, or a link, shows that the archive is not what its authors
published, and is refused.
"""

import tarfile

import numpy as np

from .stream import Stream

BLOCK = tarfile.BLOCKSIZE
MOST_MEMBERS = 1_000_000
#: Programs fill up the last record of an archive with zeros.
MOST_PADDING = 1 << 16
#: Headers that carry only particulars of the member that follows them.
EXTENSIONS = (b"x", b"g", b"X", b"L", b"K")


def members(path, wanted, largest):
    """Go through the plain files in a tar archive, gzipped or not.

    Parameters
    ----------
    path : str or Path
    wanted : callable
        Whether the contents are asked for of the member whose name it is given.
    largest : int
        Bytes; a larger member that is asked for is refused.

    Yields
    ------
    name : str
        Without a leading "./".
    contents : uint8 array

    Raises
    ------
    MindrawError
        If any part of the archive is not what the format wants there.
    """
    with Stream(path) as stream:
        for _ in range(MOST_MEMBERS):
            start = stream.position
            member = _header(stream)
            if member is None:
                _padding(stream)
                return
            if member.type not in EXTENSIONS:
                _check(member, stream, start)
            name = member.name.removeprefix("./")
            asked = member.type not in EXTENSIONS and member.isreg() and wanted(name)
            most = largest if asked else stream.most
            if not 0 <= member.size <= most:
                raise stream.error(
                    f"{member.name!a}: expected a size of 0 to {most} bytes, found {member.size}",
                    start + 124,
                )
            if asked:
                yield name, _contents(stream, member)
                _skip(stream, -member.size % BLOCK, member)
            else:
                _skip(stream, member.size + -member.size % BLOCK, member)
        raise stream.error(f"expected at most {MOST_MEMBERS} members")


def _header(stream):
    """Read the header of the next member, None at the mark that ends an archive."""
    start = stream.position
    block = stream.read(BLOCK)
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        if len(block) == BLOCK and not any(block):
            return None
        raise stream.error(f"expected the header of a tar member ({error})", start) from error


def _check(member, stream, start):
    parts = member.name.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise stream.error(
            f"expected a member inside the archive's folder, found {member.name!a}", start
        )
    if not (member.isreg() or member.isdir()):
        raise stream.error(
            f"expected files and folders, found {member.name!a}, a link or a device", start + 156
        )


def _contents(stream, member):
    end = stream.position + member.size
    if end > stream.most:  # before memory is taken on the header's word
        raise stream.error(f"{member.name!a} wants to end at byte {end}, after the file's end")
    contents = np.empty(member.size, np.uint8)
    stream.fill(contents, f"{member.name!a} wants it")
    return contents


def _skip(stream, count, member):
    end = stream.position + count
    while stream.position < end:
        if not stream.read(min(1 << 20, end - stream.position)):
            raise stream.error(f"the file ends, but {member.name!a} wants it to end at byte {end}")


def _padding(stream):
    """Read to the end, which checks gzip's checksum, and find nothing but zeros."""
    start = stream.position
    rest = stream.read(MOST_PADDING + 1)
    if len(rest) > MOST_PADDING or any(rest):
        raise stream.error("expected nothing but zeros after the end of the archive", start)
