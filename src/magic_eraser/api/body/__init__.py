"""Bodies of requests on their way in: into one file on the disk, and apart into fields."""
