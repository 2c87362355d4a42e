"""One way of asking each kind of target; returns, or raises with a reason."""
