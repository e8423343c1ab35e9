"""The only part of raft_trio that touches the world: sockets, threads, files and clocks, on trio."""
