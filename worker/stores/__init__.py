"""Records, queues and files: the half of the worker that the service shares and that loads no image
library.
"""
