"""The residual scan: whether a person's own values still stand anywhere after an erasure."""
