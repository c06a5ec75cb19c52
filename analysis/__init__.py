"""From run folders to tables and figures; each stage reads the files of the one before it."""
