"""What clients do: generators, sessions and the workloads made of them. No faults, no processes, no verdicts."""
