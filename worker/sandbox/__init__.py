"""How a process that decodes untrusted bytes gives up everything it does not need.

Shared by the API's children and the worker's: limits, Landlock, seccomp, and the messages between
such a child and its parent.
"""
