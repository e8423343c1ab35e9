"""Sequential specifications: what a register, a queue, a lock allows one operation after the other."""
