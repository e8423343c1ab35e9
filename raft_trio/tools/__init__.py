"""What operators do beside serving: ask a cluster how it is, look into a log, cut a damaged one."""
