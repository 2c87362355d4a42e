"""Something to watch: stand-ins for a whole system, with faults that can be switched on and off."""
