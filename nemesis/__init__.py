"""What goes wrong: faults as data, the injector that carries a plan out, and the registry of kinds. Knows no Raft."""
