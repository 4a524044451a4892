"""One module per data set.

A module's name is the data set's, with underscores for dashes, and its function
``load(data_dir, binarise, seed)`` returns a `mindraw.data.Dataset`; one that comes in
more than one size takes `size` as a fourth. A new file here is a new data set; nothing
else lists them.
"""
