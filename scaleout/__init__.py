"""More than one process for one group, by Ray: the group that is chosen, and every bit of it, is the same whoever samples."""
