"""The linear map y = W x, with a minibatch in the columns of x."""


def forward(ops, y, x, W):
    """y = W x.

    Parameters
    ----------
    ops : Backend
    y : array (m, B)
        Set.
    x : array (n, B)
    W : array (m, n)
    """
    ops.xp.matmul(W, x, out=y)


def backward(ops, dx, dy, W):
    """dx = W^T dy.

    Parameters
    ----------
    ops : Backend
    dx : array (n, B)
        Set.
    dy : array (m, B)
    W : array (m, n)
    """
    ops.xp.matmul(W.T, dy, out=dx)


def weight_gradient(ops, dW, dy, x):
    """dW = dy x^T, over all the columns at once: with T B columns, all steps in one product.

    Parameters
    ----------
    ops : Backend
    dW : array (m, n)
        Set.
    dy : array (m, T*B)
    x : array (n, T*B)
    """
    ops.xp.matmul(dy, x.T, out=dW)


def bias_gradient(ops, db, dy):
    """db = the sum of dy over its columns.

    Parameters
    ----------
    ops : Backend
    db : array (m, 1)
        Set.
    dy : array (m, T*B)
    """
    ops.kernels.row_sums(db, dy)


def constant_gradient(ops, dc, dy):
    """dc = the sum of dy over the steps: the gradient at what is added to y at every step.

    Parameters
    ----------
    ops : Backend
    dc : array (m, B)
        Set.
    dy : array (m, T*B)
    """
    ops.kernels.step_sums(dc, dy)
