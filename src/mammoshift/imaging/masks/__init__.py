"""What the mask of a recipe shows of the breast, one module each, found by its file's name.

A module offers `shown(image, region, view)`, the region whose mask it is.
"""
