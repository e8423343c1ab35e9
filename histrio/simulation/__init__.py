"""A deterministic discrete-event simulator of nodes, links, disks and clocks. It knows no Raft and no harness."""
