"""The training images nearest to given pictures: has the model learned them by heart?"""

import numpy as np

#: Numbers of training images that are held at once.
HELD = 4_000_000


def nearest(pictures, split):
    """Return for each picture the image of a split with the least squared difference.

    Parameters
    ----------
    pictures : numpy.ndarray (n, ...)
        In [0, 1], with D numbers in each.
    split : mindraw.data.Split
        Its images of epoch 0 are looked at, some at a time.

    Returns
    -------
    neighbours : numpy.ndarray float32, of the shape of `pictures`
    distances : numpy.ndarray (n,)
        Root of the sum of the squared differences.
    """
    wanted = np.asarray(pictures, np.float32).reshape(len(pictures), -1)
    n, D = wanted.shape
    least = np.full(n, np.inf)
    neighbours = np.empty_like(wanted)
    chunk = max(1, HELD // D)
    for start in range(0, len(split), chunk):
        images = split.images(np.arange(start, min(start + chunk, len(split))), 0)
        # |x - p|^2 less |p|^2, which is the same for all images
        far = np.einsum("ij,ij->i", images, images) - 2 * (wanted @ images.T)
        best = far.argmin(axis=1)
        far = far[np.arange(n), best]
        closer = far < least
        least[closer] = far[closer]
        neighbours[closer] = images[best[closer]]
    distances = np.sqrt(((wanted - neighbours) ** 2).sum(axis=1))
    return neighbours.reshape(np.shape(pictures)), distances
