"""Training the cover network: composites of faces and occluders whose masks are exact."""
