"""PNG and JPEG through Pillow, from files nobody vouches for."""

import io
import os
import warnings
from contextlib import ExitStack, contextmanager

import numpy as np

from ..errors import MindrawError

#: Pixels; a header that claims more is refused before memory is taken on its word.
MOST_PIXELS = 1 << 26
FORMATS = ("PNG", "JPEG")
ORIENTATION = 0x0112
#: EXIF orientations in which rows and columns change places.
TURNED = (5, 6, 7, 8)


def pillow():
    """Return Pillow's module Image, or say how to install it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MindrawError(
            "reading and resizing pictures needs Pillow: pip install 'mindraw[examples]'"
        ) from error
    return Image


class _File(io.BufferedReader):
    """A file that is never asked for more bytes than it has, since that would take memory."""

    def __init__(self, path):
        super().__init__(io.FileIO(path))
        self.size = os.fstat(self.fileno()).st_size

    def read(self, count=-1):
        left = max(0, self.size - self.tell())
        return super().read(left if count is None or count < 0 else min(count, left))


@contextmanager
def opened(file, where, formats=FORMATS, most=MOST_PIXELS):
    """Open a picture without decoding it; what goes wrong within is told of `where`.

    Parameters
    ----------
    file : path or io.BytesIO
    where : str
        The file, for messages.
    formats : tuple of str
        As Pillow calls them; no other is tried.
    most : int
        Pixels.

    Raises
    ------
    MindrawError
        If it is no such picture, a damaged or a too large one.
    """
    Image = pillow()
    kinds = " or ".join(formats)
    try:
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")  # a large or an odd picture is judged here
            file = file if isinstance(file, io.BytesIO) else stack.enter_context(_File(file))
            with Image.open(file, formats=formats) as image:
                if image.width * image.height > most:
                    raise MindrawError(
                        f"{where}: expected at most {most} pixels, found a picture of "
                        f"{image.height} x {image.width}"
                    )
                yield image
    except MindrawError:
        raise
    except Image.DecompressionBombError as error:
        raise MindrawError(f"{where}: expected at most {most} pixels, found far more") from error
    except Image.UnidentifiedImageError as error:
        raise MindrawError(f"{where}: expected a {kinds} picture, found something else") from error
    except Exception as error:  # Pillow trusts a file, and lets anything escape
        raise MindrawError(
            f"{where}: expected a {kinds} picture, found it damaged "
            f"({type(error).__name__}: {' '.join(str(error).split())})"
        ) from error


def upright_size(image):
    """Return (H, W) of an opened picture as its EXIF orientation shows it."""
    W, H = image.size
    return (W, H) if image.getexif().get(ORIENTATION) in TURNED else (H, W)


def colourful(image):
    """Whether an opened picture is of a kind with colours."""
    if image.mode == "P":
        palette = image.getpalette()
        return not palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode not in ("1", "L", "LA") and image.mode[0] != "I"


def upright(image, colour):
    """Decode an opened picture: mode RGB or L, upright, over white where it is transparent.

    Parameters
    ----------
    image : PIL.Image.Image
    colour : bool
        Three channels, or grey.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode[0] == "I":  # 16 bits, which convert() would cut off at 255
        deep = np.asarray(image).astype(np.uint32).clip(0, 65535)
        image = Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB" if colour else "L")


def fit(image, H, W):
    """Scale a picture to H x W pixels; what sticks out at two sides is cut off evenly."""
    if image.size == (W, H):
        return image
    from PIL import Image, ImageOps

    return ImageOps.fit(image, (W, H), Image.Resampling.BILINEAR)
