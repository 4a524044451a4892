"""Downloads from official mirrors: checked, shown, and given up within seconds."""

import os
import threading
import time
from typing import NamedTuple
from urllib.parse import urlsplit

from ..errors import MindrawError
from . import cache

#: A mirror that sends less than SLOWEST bytes per second over PATIENCE seconds is left.
PATIENCE = 5.0
SLOWEST = 250_000
CONNECT = 3.0
#: After this many seconds lost on mirrors that failed, no further one is tried.
LOSS = 12.0


class Remote(NamedTuple):
    """One official file: its name, its size in bytes and its SHA-256.

    Where nobody has published a SHA-256, it is None and the MD5 is there instead.
    """

    name: str
    size: int
    sha256: str | None
    md5: str | None = None

    @property
    def digest(self):
        """The hex digits of the checksum."""
        return self.sha256 or self.md5

    @property
    def checksum(self):
        """The kind of the checksum, for messages."""
        return "SHA-256" if self.sha256 else "MD5"

    @property
    def algorithm(self):
        """The kind of the checksum, as hashlib calls it."""
        return self.checksum.replace("-", "").lower()


class Unreachable(MindrawError):
    """No mirror gave the files; the message says why."""


class _Abandoned(Exception):
    """Raised inside a download that nobody waits for any more."""


def fetch(files, mirrors, folder):
    """Download `files` into `folder`, from the first mirror that has them.

    A mirror that fails once is not asked again. Nothing but complete files with the
    right SHA-256 ever appears in `folder`.

    Parameters
    ----------
    files : sequence of Remote
    mirrors : sequence of str
        Addresses to which a file's name is appended.
    folder : Path

    Raises
    ------
    Unreachable
        If some file could not be had; one sentence with every mirror's reason.
    """
    if os.environ.get("MINDRAW_OFFLINE", "0") not in ("", "0"):
        raise Unreachable("MINDRAW_OFFLINE forbids downloads")
    try:
        # Here already, so that no mirror is charged for the time that importing takes.
        import pooch  # noqa: F401
        import requests  # noqa: F401
    except ImportError as error:
        raise Unreachable(
            "downloads need the package pooch: pip install 'mindraw[examples]'"
        ) from error
    missing, reasons, lost = list(files), [], 0.0
    for mirror in mirrors:
        if lost > LOSS:
            break
        while missing:
            started = time.monotonic()
            try:
                _download(mirror, missing[0], folder)
            except Unreachable as error:
                lost += time.monotonic() - started
                reasons.append(f"{urlsplit(mirror).netloc} {error}")
                break
            except OSError as error:
                raise Unreachable(f"the cache {folder} cannot be written: {error}") from error
            del missing[0]
    if missing:
        raise Unreachable("; ".join(reasons))


def _download(mirror, remote, folder):
    """Bring one file; the download runs in a thread since look-ups of names can hang."""
    with cache.workspace(folder) as work:
        meter = _Meter(remote)
        outcome = []
        worker = threading.Thread(
            target=_retrieve, args=(mirror, remote, work, meter, outcome), daemon=True
        )
        worker.start()
        try:
            _wait(worker, meter)
        finally:
            meter.close()
        if isinstance(outcome[0], Exception):
            raise Unreachable(_reason(outcome[0], remote)) from outcome[0]
        cache.publish(work / remote.name, folder / remote.name)


def _retrieve(mirror, remote, work, meter, outcome):
    import pooch

    responses = []
    try:
        pooch.get_logger().setLevel("WARNING")
        pooch.retrieve(
            mirror + remote.name,
            known_hash=f"{remote.algorithm}:{remote.digest}",
            fname=remote.name,
            path=work,
            downloader=pooch.HTTPDownloader(
                progressbar=meter,
                chunk_size=_Meter.CHUNK,
                timeout=(CONNECT, 2 * PATIENCE),  # _wait comes first
                headers={"Accept-Encoding": "identity"},
                hooks={"response": lambda response, **_: responses.append(response)},
            ),
        )
        outcome.append(None)
    except Exception as error:  # handed to the thread that waits
        outcome.append(error)
    finally:
        for response in responses:  # pooch leaves them open
            response.close()


def _wait(worker, meter):
    """Wait for the download as long as it keeps up the slowest speed that is allowed."""
    while True:
        before = meter.received
        worker.join(PATIENCE)
        if not worker.is_alive():
            return
        # While the first bytes are awaited, any at all will do.
        if meter.received - before < (SLOWEST * PATIENCE if before else 1):
            speed = (meter.received - before) / PATIENCE / 1000
            raise Unreachable(f"was too slow ({speed:.0f} kB per second)")


class _Meter:
    """The progress bar that pooch drives: counts, draws, and stops a download."""

    CHUNK = 1 << 14

    def __init__(self, remote):
        self.received = 0
        self.total = 0  # set by pooch
        self._remote = remote
        self._bar = None
        self._complete = self._closed = False

    def update(self, count):
        if self._complete:
            return
        if self.received == 0:
            self._bar = _bar(self._remote)
        self.received += count
        # The last chunk counts as a whole one, however short it is.
        if self._closed or self.received >= self._remote.size + self.CHUNK:
            raise _Abandoned
        if self._bar is not None:
            self._bar.update(count)

    def reset(self):
        """Note that all is there: pooch resets a bar only to fill it at the end."""
        self._complete = True

    def close(self):
        self._closed = True
        if self._bar is not None:
            self._bar.close()


def _bar(remote):
    """Return tqdm's progress bar, or None where there is no tqdm."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    # disable=None: no bar where stderr is not a terminal.
    return tqdm(total=remote.size, desc=remote.name, unit="B", unit_scale=True, disable=None)


def _reason(error, remote):
    """Say in half a sentence why a download failed."""
    import requests

    if isinstance(error, _Abandoned):
        return f"sent more than the {remote.size} bytes of {remote.name}"
    if isinstance(error, requests.HTTPError):
        return f"answered {error.response.status_code} for {remote.name}"
    if isinstance(error, requests.Timeout):
        return "did not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "could not be reached"
    if isinstance(error, requests.RequestException):
        return f"broke off in {remote.name}"
    if isinstance(error, ValueError):
        return (
            f"sent a {remote.name} with a {remote.checksum} other than the official {remote.digest}"
        )
    return f"failed ({error})"
