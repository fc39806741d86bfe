"""Child processes that open untrusted files, so that a decoder's bug or a bomb costs a child and
not the service.
"""
