"""What several feature families need, computed once per object set or channel: runs, pixels, sums, outlines, ranks."""
